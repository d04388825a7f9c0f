"""What travels between a pool and its Python workers, and how."""
