"""The formats of the messages between a pool and its Python workers."""
