"""Lanes: what turns bytes on a socket into requests, and responses into bytes."""
