"""How a program and the pool talk: a framing (where a message ends) and a codec (what it means).

Two rules hold in this package. Nothing here does I/O: bytes go in, messages come out, and the other
way round, so that every rule can be tested without a process. And the two are independent: any
framing goes with any codec.
"""
