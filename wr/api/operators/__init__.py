"""The API of operators: queues, sessions, signing keys, history, the audit trail, and people."""
