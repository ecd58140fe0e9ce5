"""Supervision: isolates errors of one connection from all others, and restarts loops that fail."""
