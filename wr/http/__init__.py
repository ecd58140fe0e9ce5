"""Bytes to requests and back: listener, lanes, connections, WebSockets and server-sent events."""
