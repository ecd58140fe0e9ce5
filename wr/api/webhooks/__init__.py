"""The API with which operators manage webhooks."""
