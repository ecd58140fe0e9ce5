"""`wr.gate`: who passes, where everybody else is sent, and what the site is told of them."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.gate.middleware_site import COOKIE, NOW_S, SERVER, ask, holding, passes, saying, token
from wr.gate import AsgiGate, WsgiGate
from wr.gate.decision import Passes
from wr.gate.open_paths import is_open, read_open_paths
from wr.model.gate_rules import is_open_path

OPEN = "/robots.txt /pub/*"
TRICKS = [
    *("/pub/../tickets", "/pub/..", "/pub/./x", "/pub/..;/tickets", "/pub;/x", "//pub/x", "/pub//x"),
    *(
        "/robots.txt#/../tickets",
        "/robots.txt%2f",
        "/pub/%2e%2e/tickets",
        "/pub/\\x",
        "/robots.txt?",
        "pub/x",
    ),
    *("http://example.com/robots.txt", "", "/robots.txt/", "/Robots.txt", "/tickets"),
]


class Recording:
    """A site that remembers what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 200})

    def said(self, name: str) -> list[str]:
        """Values of a header in the last request."""
        return [v.decode() for n, v in self.scopes[-1]["headers"] if n.decode().replace("_", "-") == name]


def test_a_clock_a_little_behind_the_waiting_rooms_lets_people_in() -> None:
    assert passes().read(token(iat=NOW_S + 30, nbf=NOW_S + 30)) is not None


def test_a_token_counts_for_two_seconds_beyond_its_end_and_no_longer() -> None:
    now = [NOW_S + 3600.0]
    rules = passes(now=now)
    assert rules.read(token()) is not None
    now[0] += 2
    assert rules.read(token()) is None


def test_a_token_whose_end_is_no_number_counts_for_nothing() -> None:
    for exp in ("soon", None, [5]):
        assert passes().read(token(exp=exp)) is None


def test_a_link_takes_the_place_of_no_session_that_is_good() -> None:
    gate = AsgiGate(saying(), passes=passes())
    for brought in (token("anothers"), token("old", exp=NOW_S - 60)):
        linked = ask(gate, f"/?a=1&wr_token={brought}", holding(token()))
        assert (linked.status, linked.all("location"), linked.all("set-cookie")) == (303, ["/?a=1"], [])
    over = ask(gate, f"/?wr_token={token('anothers')}", holding(token(exp=NOW_S - 10)))
    assert len(over.all("set-cookie")) == 1


def test_cookies_on_several_lines_are_all_read() -> None:
    gate = AsgiGate(saying(), passes=passes())
    for headers in (
        [holding(token()), ("cookie", "theme=dark")],
        [("cookie", "theme=dark"), holding(token())],
    ):
        assert ask(gate, "/", *headers).status == 200


def test_the_site_is_told_the_session_and_never_what_the_visitor_says_it_is() -> None:
    site = Recording()
    gate = AsgiGate(site, passes=passes(open_paths=OPEN))
    forged = [(name, "forged") for name in ("x-wr-session", "x_wr_session", "x-wr-queue", "x-wr-outage")]
    ask(gate, "/", holding(token()), *forged)
    assert (site.said("x-wr-session"), site.said("x-wr-queue")) == (["s1"], ["demo"])
    assert site.said("x-wr-outage") == []
    assert site.scopes[-1]["wr.session"].session_id == "s1"
    ask(gate, "/robots.txt", *forged)
    assert (site.said("x-wr-session"), site.said("x-wr-queue")) == ([], ["demo"])
    assert site.scopes[-1]["wr.session"] is None


def wsgi_asked(environ: dict[str, Any], rules: Passes) -> tuple[str, dict[str, Any]]:
    """Ask a WSGI application; the status, and what the site was asked."""
    seen: dict[str, Any] = {}
    statuses: list[str] = []

    def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ}
    list(WsgiGate(site, passes=rules)(asked, lambda status, *_: statuses.append(status)))
    return statuses[0], seen


def test_a_wsgi_site_is_told_the_session_and_never_what_the_visitor_says_it_is() -> None:
    rules = passes(open_paths=OPEN)
    forged = {"HTTP_X_WR_SESSION": "forged", "HTTP_X_WR_QUEUE": "forged", "HTTP_X_WR_OUTAGE": "forged"}
    _, seen = wsgi_asked({"HTTP_COOKIE": f"{COOKIE}={token()}", **forged}, rules)
    assert (seen["HTTP_X_WR_SESSION"], seen["HTTP_X_WR_QUEUE"]) == ("s1", "demo")
    assert "HTTP_X_WR_OUTAGE" not in seen
    status, seen = wsgi_asked({"PATH_INFO": "/robots.txt", **forged}, rules)
    assert (status, seen["wr.session"], "HTTP_X_WR_SESSION" in seen) == ("200 OK", None, False)
    for tricky in ("/pub/../tickets", "/pub//x", "/pub/%2e%2e/x", "/pub/;x", "/tickets"):
        assert wsgi_asked({"PATH_INFO": tricky}, rules)[0] == "303 See Other"


def test_open_paths_pass_without_a_session_and_without_waiting_for_keys() -> None:
    def fetch(_url: str) -> dict[str, Any]:
        raise AssertionError("nobody waits where everybody passes")

    gate = AsgiGate(saying(), passes=passes(fetch, open_paths=OPEN))
    for path in ("/robots.txt", "/pub/x/y.css", "/pub/", "/robots.txt?v=2"):
        assert ask(gate, path, holding(token())).status == 200


def test_on_an_open_path_a_session_is_known_and_an_arriving_one_is_kept() -> None:
    site = Recording()
    rules = passes(open_paths=OPEN)
    gate = AsgiGate(site, passes=rules)
    arrives = ask(gate, f"/pub/?wr_token={token()}")
    assert (arrives.status, arrives.all("location")) == (303, ["/pub/"])
    ask(gate, "/pub/", holding(token()))
    assert site.scopes[-1]["wr.session"].session_id == "s1"


@pytest.mark.parametrize("path", TRICKS)
def test_no_trick_makes_an_open_path(path: str) -> None:
    assert not is_open(path, read_open_paths(OPEN))
    assert ask(AsgiGate(saying(), passes=passes(open_paths=OPEN)), path).status == (
        200 if path == "/robots.txt?" else 303
    )


@pytest.mark.parametrize("path", [*TRICKS, "/robots.txt", "/pub/", "/pub/a.css", "/pub/.hidden", "/pub/a..b"])
def test_what_is_open_here_is_open_at_the_gate_in_a_proxy_too(path: str) -> None:
    assert not is_open(path, read_open_paths(OPEN)) or is_open_path(path, OPEN)


def test_a_form_with_a_token_in_its_address_passes_and_keeps_its_body() -> None:
    gate = AsgiGate(saying(), passes=passes())
    for headers in ([], [holding(token())], [holding(token("another"))]):
        assert ask(gate, f"/pay?wr_token={token()}", *headers, method="POST").status == 200
    assert ask(gate, "/pay?wr_token=stale", holding(token()), method="POST").status == 200
    shut = ask(gate, "/pay?wr_token=stale", method="POST")
    assert (shut.status, shut.all("location")) == (303, [f"{SERVER}/wait/demo?return=%2F"])


def test_a_head_request_that_arrives_with_a_token_is_sent_on_as_a_get_is() -> None:
    told = ask(AsgiGate(saying(), passes=passes()), f"/a?wr_token={token()}", method="HEAD")
    assert (told.status, told.all("location"), len(told.all("set-cookie"))) == (303, ["/a"], 1)


def test_a_websocket_passes_with_a_token_in_its_address() -> None:
    gate = AsgiGate(saying(), passes=passes())
    assert ask(gate, f"/live?wr_token={token()}", kind="websocket").messages[0]["type"] == "websocket.accept"
    assert ask(gate, "/live?wr_token=stale", kind="websocket").status == 4401


def test_what_a_visitor_sends_ends_no_header() -> None:
    gate = AsgiGate(saying(), passes=passes())
    arrives = ask(gate, f"/a\r\nX: y?b=\r\n\xff&wr_token={token()}")
    assert arrives.all("location") == ["/a%0D%0AX:%20y?b=%0D%0A%FF"]
    shut = ask(gate, "/a\r\nX: y?b=\r\n")
    assert parse_qs(urlsplit(shut.all("location")[0]).query) == {"return": ["/a%0D%0AX:%20y?b=%0D%0A"]}


def test_a_crowd_of_made_up_cookies_is_not_read_to_its_end() -> None:
    gate = AsgiGate(saying(), passes=passes())
    junk = "; ".join(f"{COOKIE}={token(kid=f'made-up-{number}')}" for number in range(40))
    assert ask(gate, "/", ("cookie", f"{junk}; {COOKIE}={token()}")).status == 303


def test_the_lifespan_is_the_sites_own_and_no_other_kind_of_scope_passes() -> None:
    seen: list[str] = []

    async def site(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    gate = AsgiGate(site, passes=passes())
    asyncio.run(gate({"type": "lifespan"}, _never, _never))
    with pytest.raises(ValueError, match="webtransport"):
        asyncio.run(gate({"type": "webtransport"}, _never, _never))
    assert seen == ["lifespan"]


async def _never(*_: Any) -> None:
    raise AssertionError("nobody is asked")


def test_what_the_site_raises_and_streams_goes_through_as_it_comes() -> None:
    async def site(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise KeyError("the site's own")

    sent: list[dict[str, Any]] = []

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in [holding(token())]]
    with pytest.raises(KeyError, match="the site's own"):
        asyncio.run(AsgiGate(site, passes=passes())(scope, _never, keep))
    assert [each.get("body") for each in sent] == [None, b"a"]


def test_a_wsgi_answer_is_handed_on_as_it_is() -> None:
    class Streamed:
        def __iter__(self) -> Any:
            return iter([b"a"])

        def close(self) -> None:
            """What a server calls when the answer is over."""

    streamed = Streamed()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_COOKIE": f"{COOKIE}={token()}"}
    assert WsgiGate(lambda *_: streamed, passes=passes())(environ, None) is streamed


def test_a_gate_without_an_address_a_queue_or_proper_paths_is_not_made() -> None:
    for server, queue, open_paths in ((SERVER, "", ""), ("", "demo", ""), (SERVER, "demo", "robots.txt")):
        with pytest.raises(ValueError, match=r"needs the address|must begin with a slash"):
            AsgiGate(saying(), server=server, queue=queue, open_paths=open_paths)
