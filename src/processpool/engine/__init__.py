"""Runs, feeds and supervises worker processes."""
