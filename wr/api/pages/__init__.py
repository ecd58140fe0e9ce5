"""Endpoints for HTML pages: the waiting page, the console, the API reference, and their files."""
