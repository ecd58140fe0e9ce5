"""HTTP on the wire: turns bytes into requests and responses into bytes.

Holds the listener, both lanes, connections, WebSockets and server-sent events.
"""
