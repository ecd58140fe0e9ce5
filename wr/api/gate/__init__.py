"""Endpoints of the gate: checks of each request to the site, and the site's commands about sessions."""
