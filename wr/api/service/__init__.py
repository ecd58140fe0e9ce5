"""The API about the service itself: health, verification keys, OpenAPI, metrics."""
