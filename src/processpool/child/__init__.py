"""What runs inside a worker.

Two rules hold in this package. It imports the standard library only, and as little of that as it
can, since every worker pays for it at its start. And it knows the protocol's bytes by itself: it
shares no code with the pool's side, which may be of another version.
"""
