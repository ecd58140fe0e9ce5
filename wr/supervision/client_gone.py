"""What transports raise when a client has gone; supervision ends the connection without a log line."""


class ClientGone(Exception):
    """The client has gone, or its connection was ended from this side."""
