"""What runs inside a worker.

Every worker pays for what is imported here at its start: the standard library, as little of it as
can be, and the lean modules of `wire` and `system`.
"""
