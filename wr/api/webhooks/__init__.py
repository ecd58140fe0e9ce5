"""Endpoints for operators to manage webhooks."""
