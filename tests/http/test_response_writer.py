"""What the fast lane writes, a strict reader of HTTP reads as meant."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wr.api.http_messages import HttpResponse
from wr.http.response_writer import ResponseWriter
from wr.model.limits import Limit, Usage

RESPONSES = st.builds(
    HttpResponse,
    status=st.sampled_from([200, 201, 400, 404, 405, 408, 413, 429, 431, 500, 503]),
    request_id=st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    usage=st.none()
    | st.builds(Usage, st.builds(Limit, st.integers(1, 999)), st.integers(0, 2000), st.just(1)),
    body=st.binary(max_size=200),
    extra_headers=st.just([]) | st.just([("Retry-After", "5"), ("Allow", "GET, POST")]),
    content_type=st.sampled_from(["application/json", "text/plain; charset=utf-8"]),
)


def read(data: bytes, method: str = "GET") -> tuple[h11.Response, bytes, h11.Connection]:
    """Read one response to the end, and let nothing be behind it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "wr")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    head, body = client.next_event(), b""
    assert isinstance(head, h11.Response)
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", False)
    return head, body, client


@given(RESPONSES, st.booleans(), st.sampled_from(["GET", "HEAD"]))
def test_status_headers_body_and_end_are_read_as_they_were_meant(
    response: HttpResponse, is_last: bool, method: str
) -> None:
    writer = ResponseWriter()
    writer.tell_date(1_800_000_000)
    data = writer.spell(response, has_body=method != "HEAD", is_last=is_last)
    head, body, client = read(data, method)
    assert head.status_code == response.status
    assert body == (b"" if method == "HEAD" else response.body)
    headers = [(name.decode(), value.decode()) for name, value in head.headers]
    assert sorted(headers) == sorted(
        [
            *((name.lower(), value) for name, value in response.headers),
            ("content-length", str(len(response.body))),
            ("date", "Fri, 15 Jan 2027 08:00:00 GMT"),
            *([("connection", "close")] if is_last else []),
        ]
    )
    assert (client.their_state is h11.DONE) is not is_last


def test_the_date_is_the_one_that_was_told_last() -> None:
    writer = ResponseWriter()
    response = HttpResponse(200, b"{}", request_id="id")
    for unix_s, date in ((0, b"Thu, 01 Jan 1970 00:00:00 GMT"), (1e9, b"Sun, 09 Sep 2001 01:46:40 GMT")):
        writer.tell_date(unix_s)
        head, _, _ = read(writer.spell(response, has_body=True, is_last=False))
        assert dict(head.headers)[b"date"] == date


@pytest.mark.parametrize("chunks", [[b"a"], [b"event: x\n\n", b"b" * 5000]])
def test_a_head_whose_body_follows_is_read_with_its_chunks(chunks: list[bytes]) -> None:
    head = ResponseWriter().spell_head(
        200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), ("X-A", "b")]
    )
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    response, read_body, _ = read(head + body)
    assert dict(response.headers)[b"x-a"] == b"b"
    assert read_body == b"".join(chunks)
