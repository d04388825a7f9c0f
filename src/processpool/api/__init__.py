"""What users hold in their hands: it checks, blocks, and waits; it may use the caller's thread."""
