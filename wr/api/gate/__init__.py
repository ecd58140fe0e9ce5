"""The API of the gate: the question about each request to the site, and the site's session commands."""
