"""Workers as an engine sees them: what it asks of any, and how each kind does it."""
