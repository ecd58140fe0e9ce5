"""Signs passes as a site does, without the server's own code."""

from typing import Any

import jwt

from tests.support.site import Site

SITE_SECRET = "a-shared-secret-of-the-site-and-the-room"
"""The content of the `pass_key` file in tests."""


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


REFUSED_PASSES = ("invalid", "expired", "not_yet", "other_queue", "used_up", "revoked")
"""Reasons for which the server refuses a pass."""


def refused_pass(site: Site, queue_id: str, now_ms: int, reason: str) -> str:
    """Sign a pass that the queue refuses for that reason."""
    now_s = now_ms // 1000
    claims: dict[str, dict[str, Any]] = {
        "expired": {"exp": now_s - 60},
        "not_yet": {"nbf": now_s + 600},
        "other_queue": {"queue": "another-queue"},
        "used_up": {"uses": 1},
    }
    given = site_pass(now_ms, queue_id, "ada", **claims.get(reason, {}))
    if reason == "invalid":
        return given[:-5]
    if reason == "used_up":
        joined = site.join(queue_id, headers={"X-WR-Pass": given})
        assert joined.status_code == 201, joined.text
        left = site.call("DELETE", f"/queues/{queue_id}/position", joined.json()["token"])
        assert left.status_code == 200, left.text
    if reason == "revoked":
        revoked = site.admin("POST", f"/queues/{queue_id}/passes/revoke", {"pass": given})
        assert revoked.status_code == 200, revoked.text
    return given
