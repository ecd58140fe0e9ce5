"""Traces of requests and batches, for OpenTelemetry; loaded only where they are asked for."""
