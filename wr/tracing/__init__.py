"""Traces of requests and batches for OpenTelemetry, loaded only if they are enabled."""
