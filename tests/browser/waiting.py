"""What tests of the waiting page have in common: a line to stand in, and what the page shows of it."""

import json
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.site import Site

CODES = ("en", "ko", "es", "fr", "de", "ja", "pt", "zh", "ar")


def texts(code: str = "en") -> dict[str, Any]:
    """The texts of a language."""
    found: dict[str, Any] = json.loads((files("wr.web") / "texts" / f"{code}.json").read_text("utf-8"))
    return found


@dataclass
class Crowd:
    """A queue and the people in it who came before the page did."""

    site: Site
    queue_id: str
    tokens: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/wait/{self.queue_id}"

    def join(self, people: int, priority: int = 0) -> None:
        for _ in range(people):
            token = self.site.join(self.queue_id, {"priority": priority}).json()["token"]
            # A place whose token is never used is dropped early.
            self.site.heartbeat(self.queue_id, token)
            self.tokens.append(token)

    def leave(self, people: int) -> None:
        for _ in range(people):
            left = self.site.call("DELETE", f"/queues/{self.queue_id}/position", self.tokens.pop(0))
            assert left.status_code == 200

    def invite(self, **wish: Any) -> str:
        """Issue a pass for this queue."""
        issued = self.site.admin("POST", f"/queues/{self.queue_id}/passes", wish)
        assert issued.status_code == 201, issued.text
        return str(issued.json()["passes"][0]["pass"])

    def change(self, **settings: Any) -> None:
        assert self.site.admin("PATCH", f"/queues/{self.queue_id}", settings).status_code == 200

    @property
    def waiting(self) -> int:
        return int(self.site.admin("GET", f"/queues/{self.queue_id}/stats").json()["current_waiting"])


def crowd(site: Site, people: int = 0, **settings: Any) -> Crowd:
    """Make a queue that lets nobody in, with so many people in it."""
    made = Crowd(site, site.make_queue(**{"status": "paused", "unique_by": "none", **settings}))
    made.join(people)
    return made


def refusing(site: Site, reason: str) -> Crowd:
    """Make a queue that refuses a visitor of this machine, without a pass, for that reason.

    With `pass_invalid` it is the visitor's pass that is refused.
    """
    if reason == "identity_taken":
        line = crowd(site, unique_by="ip")
        assert site.join(line.queue_id, address="127.0.0.1").status_code == 201
    elif reason == "too_many_places":
        line = crowd(site, max_places_per_address=1)
        assert site.join(line.queue_id, address="127.0.0.1").status_code == 201
    elif reason == "blocked":
        line = crowd(site)
        blocked = site.admin(
            "POST", f"/queues/{line.queue_id}/blocks", {"address": "127.0.0.1", "block_for": 7200}
        )
        assert blocked.status_code == 201, blocked.text
    else:
        line = crowd(site, entry="pass" if reason == "pass_required" else "open")
    return line


def shows(page: Page, state: str, code: str = "en") -> None:
    """The page says this state, in this language."""
    expect(page.locator("#headline")).to_have_text(texts(code)[f"{state}.headline"])
    expect(page.locator("#explanation")).to_have_text(texts(code)[f"{state}.explanation"])


def at_position(page: Page, position: int) -> None:
    """The page says this position."""
    expect(page.locator("#position")).to_have_text(str(position))
    expect(page.locator("#ahead")).to_have_text(str(position - 1))
