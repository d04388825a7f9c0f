"""Decisions and facts: no descriptor, no clock, no lock, no thread, and no callback."""
