"""Events for other systems: noted where things happen, published to NATS, delivered to webhooks."""
