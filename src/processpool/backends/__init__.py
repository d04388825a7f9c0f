"""Engines whose workers are on other machines.

Three rules hold here. A node runs a pool of its own, with an engine of `engine/`; what is here only
moves batches to nodes and answers back. A batch counts once, with the first result that comes of
it. And what is sent to a node must not need this package on the way: a scheduler unpickles it too.
"""
