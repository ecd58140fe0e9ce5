"""Rehearsals: play a whole sale over HTTP against a running server, and judge it from outside."""
