"""What runs workers: the seam between the pool and the processes. `local` is the only one yet."""
