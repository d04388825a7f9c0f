"""The formats of the messages between a pool and its workers, for both sides, without I/O."""
