"""Runs, feeds and supervises worker processes; `backend` is all that the rest knows of it."""
