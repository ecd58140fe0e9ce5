"""Loops that run as long as the server does; each only calls the use cases."""
