"""Endpoints for operators to block visitors."""
