"""Supervision: work of one connection that can end nothing else, and loops that are started again."""
