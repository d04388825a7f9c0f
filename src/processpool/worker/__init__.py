"""The code that runs inside a worker.

Every import delays the start of every worker, so this package imports as little of the standard
library as possible, and only the lean modules of `wire` and `system`.
"""
