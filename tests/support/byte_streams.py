"""Byte streams that clients may send, by name: plain, unusual, malformed and hostile ones."""

BASE = b"/api/v1/queues/line"
HOST = b"Host: wr\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
FORM = b'{"user_id":"ann"}'


def get(
    target: bytes = b"/health", *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1"
) -> bytes:
    """A request without a body; `lines` follow the Host header."""
    return b"%b %b %b\r\n%b%b\r\n" % (
        method,
        target,
        version,
        HOST,
        b"".join(each + b"\r\n" for each in lines),
    )


def post(body: bytes, *lines: bytes, target: bytes = BASE + b"/enqueue", length: int | None = None) -> bytes:
    """A join, or another request with a body."""
    length = len(body) if length is None else length
    return get(target, b"Content-Length: %d" % length, *lines, method=b"POST") + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", lines: tuple[bytes, ...] = ()) -> bytes:
    """A join whose body comes in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    return get(BASE + b"/enqueue", b"Transfer-Encoding: chunked", *lines, method=b"POST") + body + end


def many_headers(number: int) -> bytes:
    """A request with that many headers, including Host."""
    return get(b"/health", *(b"X-%d: a" % each for each in range(number - 1)))


PLAIN = {
    "a request": HEALTH,
    "a path nobody knows": get(b"/nowhere"),
    "a method the path has not": get(b"/health", method=b"DELETE"),
    "HEAD": get(method=b"HEAD"),
    "HEAD of what there is not": get(b"/nowhere", method=b"HEAD"),
    "HEAD of an event stream": get(BASE + b"/events", method=b"HEAD"),
    "OPTIONS": get(method=b"OPTIONS"),
    "OPTIONS of everything": get(b"*", method=b"OPTIONS"),
    "PUT with a body": get(b"/health", b"Content-Length: 3", method=b"PUT") + b"abc",
    "a GET with a body": get(b"/health", b"Content-Length: 5") + b"hello",
    "a HEAD with a body": get(b"/health", b"Content-Length: 5", method=b"HEAD") + b"hello",
    "an id of the client's own": get(b"/health", b"X-Request-Id: mine-1"),
    "an id that is none": get(b"/health", b"X-Request-Id: not mine"),
    "no token": get(BASE + b"/status"),
    "a token": get(BASE + b"/status", b"Authorization: Bearer {token}"),
    "a token and spaces behind it": get(BASE + b"/status", b"Authorization: Bearer {token} \t "),
    "a token in a header of another case": get(BASE + b"/status", b"aUTHORIZATION: bearer {token}"),
    "a token that is not ASCII": get(BASE + b"/status", b"Authorization: Bearer \xe9\xff"),
    "an admin key that is not ASCII": get(b"/api/v1/admin/queues", b"X-Admin-Key: \xe9\xff"),
    "no admin key": get(b"/api/v1/admin/queues"),
    "a heartbeat": post(b"", b"Authorization: Bearer {token}", target=BASE + b"/heartbeat"),
    "a join": post(FORM),
    "a join without a body": post(b""),
    "a join without a length": get(BASE + b"/enqueue", method=b"POST"),
    "a join of another type": post(FORM, b"Content-Type: text/plain"),
    "a join of two types": post(FORM, b"Content-Type: application/json", b"Content-Type: text/plain"),
    "a join with a charset": post(FORM, b"Content-Type: application/json; charset=utf-8"),
    "a body that is no JSON": post(b'{"user_id":'),
    "a body that is no text": post(b'{"user_id":"\xff"}'),
    "a body that may just be": post(b" " * (16384 - len(FORM)) + FORM),
    "a body that is a byte too long": post(b" " * (16385 - len(FORM)) + FORM),
    "a body too long for a GET": get(b"/health", b"Content-Length: 16385") + b" " * 16385,
    "a body far too long": post(b" " * 100_000),
    "a body that never comes": post(b"{", length=500),
    "a body of 500 MB announced": post(b"{", length=500_000_000),
    "100 headers": many_headers(100),
    "101 headers": many_headers(101),
    "150 headers, half of them the same": get(
        b"/health", *[b"X-A: a"] * 75, *(b"X-%d:" % n for n in range(75))
    ),
}

TARGETS = {
    f"the target {target!r}": get(target)
    for target in (
        *(b"/", b"//", b"//health", b"/health/", b"/./health", b"/a/../health", b"/health;a=b", b"/health?"),
        *(
            b"/health?a=b&c",
            b"/health?a=b?c",
            b"/health#end",
            b"/health?a#b",
            b"/%68ealth",
            b"/health%",
            b"/%",
        ),
        *(b"/health%3Fa=b", b"/health%2F", b"/he%00alth", b"/%ff%fe", b"/%zz", b"/%C3%A9", b"/h\xc3\xa9alth"),
        *(
            b"/\xff",
            b"/health\x00",
            b"/hea\tlth",
            b"/hea\x0clth",
            b"/hea\x7flth",
            b'/"<>\\^`{|}',
            b"/health?\xe9",
        ),
        *(b"http://wr/health", b"http://elsewhere.example/health?a=b", b"https://wr/health", b"*", b"health"),
        *(b"?", b"#", b"/api/v1/queues/l%69ne/status", b"/api/v1/queues/a%2Fb/status", b"/" + b"a" * 3000),
        *(
            b"/api/v1/queues//status",
            b"/api/v1/queues/line/status?access_token=a%20b&access_token=c",
            b"wr:80",
        ),
        *(b"/api/v1/waiting-queue/status?userId=%31&concertId=+1", b"/health?" + b"a=b&" * 500),
    )
}

HEADERS = {
    f"the header {line!r}": get(b"/health", line)
    for line in (
        *(
            b"X-A:",
            b"X-A: ",
            b"X-A:\t",
            b"X-A: \t a \t b \t ",
            b"X-A: \xe9\x80\xff",
            b"X-A: a\x00b",
            b"X-A: a\x01b",
        ),
        *(
            b"X-A: a\x7fb",
            b"X-A: a\x1fb",
            b"X-A: a\x0c",
            b"X-A: a\r\n ",
            b"X-A\t: a",
            b"X-A: a\x0bb",
            b"X-A: a\rb",
            b"X-A: a\nX-B: b",
            b"X-A: a\n",
            b"X-A : a",
            b" X-A: a",
        ),
        *(
            b"X-A",
            b": a",
            b"X A: a",
            b"X\x00A: a",
            b"X-\xc3\xa9: a",
            b"X-A: a\r\n b",
            b"X-A: a\r\n\tb",
            b"X(A): a",
        ),
        *(
            b"Host: other",
            b"Host: wr",
            b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2",
            b"X-A: " + b"a" * 9000,
        ),
        *(
            b"Cookie: a=b\r\nCookie: c=d",
            b"X-Request-Id: a\r\nX-Request-Id: b",
            b"Authorization: a\r\nAuthorization: b",
        ),
        *(b"Connection: close", b"Connection: Close", b"Connection: CLOSE ", b"Connection: keep-alive"),
        *(b"Connection: Keep-Alive", b"Connection: close, keep-alive", b"Connection: keep-alive, close"),
        *(
            b"Connection: ",
            b"Connection: upgrade",
            b"Connection: banana",
            b"Connection: close,",
            b"Connection: X-A",
        ),
        *(b"Connection: close\r\nConnection: keep-alive", b"Connection: keep-alive\r\nConnection: close"),
        *(b"Proxy-Connection: close", b"Keep-Alive: timeout=5", b"Upgrade: banana", b"Upgrade: websocket"),
        *(b"Upgrade: h2c", b"Connection: Upgrade\r\nUpgrade: banana", b"TE: trailers", b"Trailer: X-A"),
        *(
            b"Expect: 100-continue",
            b"Expect: banana",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: identity",
        ),
        *(
            b"Content-Length: 0",
            b"Content-Length: 00",
            b"Content-Length:",
            b"Content-Length: +0",
            b"Content-Length: -1",
        ),
        *(b"Content-Length: 0, 0", b"Content-Length: 0\r\nContent-Length: 0", b"Content-Length: 1e3"),
        *(
            b"Content-Length: 0x10",
            b"Content-Length: " + b"9" * 30,
            b"Content-Length: 0\x00",
            b"Content_Length: 5",
        ),
    )
}

LINES = {
    f"the line {line!r}": line + b"\r\n" + HOST + b"\r\n"
    for line in (
        *(b"get /health HTTP/1.1", b"Get /health HTTP/1.1", b"BREW /health HTTP/1.1", b"G /health HTTP/1.1"),
        *(
            b"M-SEARCH /health HTTP/1.1",
            b"PURGE /health HTTP/1.1",
            b"CONNECT wr:80 HTTP/1.1",
            b"TRACE / HTTP/1.1",
        ),
        *(
            b"CONNECT /health HTTP/1.1",
            b"SOURCE /health HTTP/1.1",
            b"PRI /health HTTP/1.1",
            b"GET\t/health HTTP/1.1",
        ),
        *(b"GET /health HTTP/1.0", b"GET /health HTTP/0.9", b"GET /health HTTP/2.0", b"GET /health HTTP/1.2"),
        *(
            b"GET /health http/1.1",
            b"GET /health HTTP/1.1 ",
            b"GET /health  HTTP/1.1",
            b"GET  /health HTTP/1.1",
        ),
        *(
            b"GET /health",
            b"GET",
            b" GET /health HTTP/1.1",
            b"GET /health HTTP/1.1\t",
            b"GET /health FTP/1.1",
        ),
        *(
            b"GET /health HTTP/11",
            b"GET /health HTTP/1.10",
            b"GET /health HTTP/1.9",
            b"GET /health HTTP/3.0",
            b"GET /health HTTP/1.1\n",
            b"\x00GET /health HTTP/1.1",
        ),
        *(b"\r\nGET /health HTTP/1.1", b"\nGET /health HTTP/1.1", b"\n\nGET /health HTTP/1.1", b"\xff" * 9),
        *(b"\r\n\r\n\r\nGET /health HTTP/1.1", b"\rGET /health HTTP/1.1", b"GARBAGE"),
    )
}

ODD = {
    "the line with a very long target": get(b"/" * 70_000),
    "HTTP/1.0": get(version=b"HTTP/1.0"),
    "HTTP/1.0 that wants to stay": get(b"/health", b"Connection: keep-alive", version=b"HTTP/1.0"),
    "HTTP/1.0 without a host": b"GET /health HTTP/1.0\r\n\r\n",
    "HTTP/1.1 without a host": b"GET /health HTTP/1.1\r\n\r\n",
    "bare line feeds": HEALTH.replace(b"\r\n", b"\n"),
    "a bare line feed at the end of the head": HEALTH[:-2] + b"\n",
    "a bare line feed behind the first line": HEALTH.replace(b"\r\n", b"\n", 1),
    "bare returns": HEALTH.replace(b"\r\n", b"\r"),
    "a head without end": b"GET /health HTTP/1.1\r\nX-A: " + b"a" * 70_000,
    "a head that is too long": get(b"/health", b"X-A: " + b"a" * 16_384),
    "half a head": HEALTH[:30],
    "half a line": HEALTH[:7],
    "chunks": chunked(FORM[:4], FORM[4:]),
    "no chunks": chunked(),
    "chunks and more to say": chunked(FORM, end=b"0;a=b\r\nX-A: b\r\n\r\n"),
    "chunks and a bare line feed behind": chunked(FORM, end=b"0\r\nX-A: b\n\r\n"),
    "chunks and a folded header behind": chunked(FORM, end=b"0\r\nX-A: b\r\n c\r\n\r\n"),
    "chunks and a control byte behind": chunked(FORM, end=b"0\r\nX-A: b\x01\r\n\r\n"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "chunks that are too many": chunked(*[b" " * 1000] * 20),
    "chunks that are none": chunked(end=b"ZZ\r\n\r\n"),
    "chunks with bare line feeds": chunked(FORM).replace(b"\r\n", b"\n"),
    "chunks of a negative size": chunked(end=b"-1\r\n\r\n"),
    "chunks that never end": chunked(b" " * 10, end=b""),
    "chunks and a length": chunked(FORM, lines=(b"Content-Length: 5",)),
    "a length and chunks": get(b"/health", b"Content-Length: 5", b"Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + HEALTH,
    "chunks in another case": chunked(FORM).replace(b"chunked", b"CHUNKED"),
    "chunks, said oddly": chunked(FORM).replace(b": chunked", b":\tchunked"),
    "chunks, hidden": chunked(FORM).replace(b"Encoding: chunked", b"Encoding : chunked"),
    "chunks, said twice": chunked(FORM, lines=(b"Transfer-Encoding: chunked",)),
    "chunks, said with more": chunked(FORM).replace(b"chunked", b"gzip, chunked"),
    "chunks, folded": chunked(FORM).replace(b": chunked", b":\r\n chunked"),
    "chunks with HTTP/1.0": chunked(FORM).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "two lengths": post(FORM, b"Content-Length: 5"),
    "two lengths alike": post(FORM, b"Content-Length: %d" % len(FORM)),
    "two lengths in one": post(FORM).replace(b"Length: 17", b"Length: 17, 17"),
    "a length in quotes": post(FORM).replace(b"Length: 17", b'Length: "17"'),
    "a length with a sign": post(FORM).replace(b"Length: 17", b"Length: +17"),
    "a length with zeros": post(FORM).replace(b"Length: 17", b"Length: 0000000017"),
    "a length and a space": post(FORM).replace(b"Length: 17", b"Length: 17 \t"),
    "a length that has a space before its colon": post(FORM).replace(b"Length: 17", b"Length : 17"),
    "a length that is too short": post(FORM, length=5),
    "a length of 0 and a body": post(HEALTH, length=0),
    "a wish to go on": post(FORM, b"Expect: 100-continue"),
    "a wish to go on, and no more": post(b"", b"Expect: 100-continue", length=17),
    "TLS": bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + bytes(40),
    "an upgrade to HTTP/2": get(
        b"/health", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"
    ),
}

H2C = {
    f"the upgrade {line!r}": get(b"/health", *lines)
    for lines in (
        (b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        (b"Connection: Upgrade", b"Upgrade: H2C"),
        (b"Connection: Upgrade", b"Upgrade: websocket, h2c"),
        (b"Connection: Upgrade", b"Upgrade: h2c, websocket"),
        (b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade:\th2c\t", b"HTTP2-Settings: AAMAAABk"),
    )
    for line in (b"; ".join(lines),)
}

ROWS = {
    "three requests": HEALTH * 3,
    "30 requests": HEALTH * 30,
    "requests with bodies": post(FORM) + post(b"{") + post(FORM) + HEALTH,
    "HEAD among others": HEALTH + get(method=b"HEAD") + HEALTH,
    "chunks among others": HEALTH + chunked(FORM) + HEALTH + chunked(FORM[:3], FORM[3:]) + post(FORM),
    "HTTP/1.0 among others": HEALTH + get(version=b"HTTP/1.0") + HEALTH,
    "a wish to go on among others": HEALTH + post(FORM, b"Expect: 100-continue") + HEALTH,
    "garbage among others": HEALTH + b"GARBAGE\r\n\r\n" + HEALTH,
    "an empty line between two": post(FORM) + b"\r\n" + HEALTH,
    "a bare line feed between two": post(FORM) + b"\n" + HEALTH,
    "a last one in the middle": HEALTH + get(b"/health", b"Connection: close") + HEALTH * 2,
    "a last one with a body": post(FORM, b"Connection: close") + post(FORM),
    "a last one without a path": get(b"/nowhere", b"Connection: close") + HEALTH,
    "one too long among others": HEALTH + post(b" " * 16_385) + HEALTH,
    "an absolute target among others": HEALTH + get(b"http://wr/nowhere") + HEALTH,
    "101 headers among others": HEALTH + many_headers(101) + HEALTH,
    "a request in a body": post(HEALTH) + HEALTH,
}


def upgrade(
    *lines: bytes, target: bytes = b"/ws/queues/line", version: bytes = b"13", key: bytes = KEY
) -> bytes:
    """A request to upgrade the connection to a WebSocket."""
    usual = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: " + version)
    return get(target, *usual, *lines)[:-2] + key + b"\r\n"


UPGRADES = {
    "no token": upgrade(),
    "a false token": upgrade(b"Authorization: Bearer {token}x"),
    "a false token and a frame": upgrade(b"Authorization: Bearer {token}x") + b"\x81\x80\x00\x00\x00\x00",
    "a queue that is not there": upgrade(b"Authorization: Bearer {token}", target=b"/ws/queues/none"),
    "a path that is none": upgrade(target=b"/ws/nothing"),
    "a path that is no stream": upgrade(target=b"/health"),
    "no key": upgrade(b"Authorization: Bearer {token}", key=b""),
    "two keys": upgrade(b"Authorization: Bearer {token}", key=KEY * 2),
    "a key that is none": upgrade(b"Authorization: Bearer {token}", key=b"Sec-WebSocket-Key: abc\r\n"),
    "an empty key": upgrade(b"Authorization: Bearer {token}", key=b"Sec-WebSocket-Key:\r\n"),
    "another version": upgrade(b"Authorization: Bearer {token}", version=b"8"),
    "two versions": upgrade(b"Authorization: Bearer {token}", version=b"13, 8"),
    "a body": upgrade(b"Authorization: Bearer {token}", b"Content-Length: 5") + b"hello",
    "a body in chunks": upgrade(b"Authorization: Bearer {token}", b"Transfer-Encoding: chunked")
    + b"5\r\nhello\r\n0\r\n\r\n",
    "POST": upgrade(b"Authorization: Bearer {token}").replace(b"GET", b"POST"),
    "HTTP/1.0": upgrade(b"Authorization: Bearer {token}").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no upgrade": get(b"/ws/queues/line", b"Authorization: Bearer {token}"),
    "an upgrade to something else": upgrade().replace(b"websocket", b"h3"),
    "an upgrade nobody connects": upgrade().replace(b"Connection: Upgrade", b"Connection: keep-alive"),
    "HEAD": upgrade(b"Authorization: Bearer {token}").replace(b"GET", b"HEAD"),
    "many headers": upgrade(*(b"X-%d: a" % each for each in range(120))),
}
"""Upgrade requests that do not lead to a WebSocket."""

EVERYTHING = {
    **PLAIN,
    **TARGETS,
    **HEADERS,
    **LINES,
    **ODD,
    **H2C,
    **{f"in a row: {name}": stream for name, stream in ROWS.items()},
    **{f"a WebSocket with {name}": stream for name, stream in UPGRADES.items()},
}
