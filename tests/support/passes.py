"""Passes as a site signs them, with nothing of the server's own code."""

from typing import Any

import jwt

SITE_SECRET = "a-shared-secret-of-the-site-and-the-room"
"""What `pass_key` names in tests."""


def site_pass(now_ms: int, queue_id: str, subject: str, *, secret: Any = SITE_SECRET, **claims: Any) -> str:
    """Sign a pass that lasts an hour unless `claims` say otherwise; None leaves a claim out."""
    algorithm, headers = claims.pop("algorithm", "HS256"), claims.pop("headers", None)
    said = {
        "sub": subject,
        "queue": queue_id,
        "exp": now_ms // 1000 + 3600,
        "jti": f"pass-of-{subject}",
        **claims,
    }
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, secret, algorithm=algorithm, headers=headers)
