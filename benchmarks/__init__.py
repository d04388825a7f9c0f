"""Programs that measure processpool beside raw pipes and the other pools, and print ratios."""
