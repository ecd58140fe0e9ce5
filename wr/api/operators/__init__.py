"""Endpoints for operators: queues, sessions, signing keys, history, the audit trail and visitors."""
