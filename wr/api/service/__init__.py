"""Endpoints about the service itself: health, verification keys, OpenAPI and metrics."""
