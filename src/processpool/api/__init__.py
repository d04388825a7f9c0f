"""The public API: pools, futures, maps and leases. It checks arguments, and may block."""
