"""Scenarios of load tests, one per module. They need Locust and websocket-client, but not wr."""
