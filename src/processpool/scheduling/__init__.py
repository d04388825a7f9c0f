"""Who gets what: the decisions of a pool, without I/O, clock or lock.

`scheduler` decides; `queue` and `slot` hold what it knows, `policy` what it goes by, and `commands`
is what it says.
"""
