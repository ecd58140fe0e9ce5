"""Endpoints for visitors: places in line, sessions and live streams."""
