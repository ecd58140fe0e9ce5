"""The exception of transports for a client that has gone. Supervision does not log it."""


class ClientGone(Exception):
    """The client has gone, or this side closed the connection."""
