"""What runs on a node: its own pool, which does the batches that come, and tells how it is."""
