"""Endpoints of the second API: users join, ask for their rank and subscribe, identified by a number."""
