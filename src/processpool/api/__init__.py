"""What users hold: it checks its arguments, and may block the caller's thread."""
