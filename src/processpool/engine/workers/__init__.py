"""What an engine asks of a worker, and how each kind of worker does it."""
