"""What travels between a pool and its Python workers, and in what form."""
