"""Events for other systems: what happens in a queue is published to NATS and delivered to webhooks."""
