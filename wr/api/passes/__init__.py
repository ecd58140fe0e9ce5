"""Endpoints for operators to issue and revoke passes."""
