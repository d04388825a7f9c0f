"""Bytes ↔ messages: how a pool and its workers talk, for both sides, without I/O."""
