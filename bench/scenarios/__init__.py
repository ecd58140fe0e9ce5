"""What visitors do in a load test, one scenario in each module. Needs Locust and websocket-client, nothing of wr."""
