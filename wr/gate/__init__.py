"""Middleware for sites without a proxy in front: only who has been let in gets through.

    app = AsgiGate(app, server="https://wait.example.com", queue="demo")    # Starlette, FastAPI, Quart
    app = WsgiGate(app, server="https://wait.example.com", queue="demo")    # Flask, Django, Bottle

Session tokens are verified here, with the keys the waiting room publishes, so that a request costs no other
one. What the site itself ends is out at once. What else a session became since, terminated by an operator or
ended by its visitor, only the waiting room knows: for that put its gate into a proxy. Needs PyJWT and nothing
of the server.
"""

from wr.gate.asgi import AsgiGate
from wr.gate.commands import Commands
from wr.gate.decision import Passes, Session
from wr.gate.published_keys import PublishedKeys
from wr.gate.wsgi import WsgiGate

__all__ = ["AsgiGate", "Commands", "Passes", "PublishedKeys", "Session", "WsgiGate"]
