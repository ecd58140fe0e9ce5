"""Traces for OpenTelemetry: a span for each request and each batch, where the environment asks for them."""
