"""What visitors do in load tests, one scenario a module. Needs Locust and websocket-client, not wr."""
