"""Framings: where messages begin and end in a stream of bytes."""
