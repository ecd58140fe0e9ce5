"""Middleware for sites without a proxy in front: only admitted visitors get through.

    app = AsgiGate(app, server="https://wait.example.com", queue="demo")    # Starlette, FastAPI, Quart
    app = WsgiGate(app, server="https://wait.example.com", queue="demo")    # Flask, Django, Bottle

The middleware verifies session tokens itself, with the keys that the waiting room publishes. So a request to
the site needs no request to the waiting room. A session that the site ends is refused at once. A session that
an operator terminates or its visitor ends stays valid here until its token expires: if that matters, use the
waiting room's gate in a proxy. The middleware needs PyJWT and no other part of the server.
"""

from wr.gate.asgi import AsgiGate
from wr.gate.commands import Commands
from wr.gate.decision import Passes, Session
from wr.gate.published_keys import PublishedKeys
from wr.gate.wsgi import WsgiGate

__all__ = ["AsgiGate", "Commands", "Passes", "PublishedKeys", "Session", "WsgiGate"]
