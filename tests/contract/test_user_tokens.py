"""The second API where it is told to ask for the site's own users' tokens."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import plain_http
from tests.support.server import running_server
from tests.support.site import BASE

SECRET = "a shared secret of the site, long enough"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
KEYS: dict[str, tuple[bytes, Any, str]] = {
    "shared secret": (SECRET.encode(), SECRET, "HS256"),
    "public key": (PUBLIC, PRIVATE, "ES256"),
}


@pytest.fixture(scope="module", params=sorted(KEYS))
def sale(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A concert behind tokens: how to call it, and how to sign."""
    verifier, signer, algorithm = KEYS[request.param]
    folder: Path = tmp_path_factory.mktemp("users")
    (folder / "key").write_bytes(verifier)
    settings = {"waiting_queue_auth": "jwt", "waiting_queue_key_file": str(folder / "key")}
    with (
        running_server(None, data_dir=str(folder / "data"), **settings) as ready,
        plain_http.client() as client,
    ):

        def sign(**claims: Any) -> str:
            return jwt.encode(claims, signer, algorithm=algorithm)

        def call(method: str, path: str, token: str | None) -> int:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            body = {"json": {"userId": 100, "concertId": 1}} if method == "POST" else {}
            url = f"{ready.url}{BASE}/waiting-queue/{path}"
            query = {} if method == "POST" else {"userId": "100", "concertId": "1"}
            return client.request(method, url, headers=headers, params=query, **body).status_code

        created = client.post(
            f"{ready.url}{BASE}/admin/queues",
            json={"id": "concert-1", "target_url": "https://shop.example/", "status": "paused"},
            headers={"X-Admin-Key": ready.admin_key},
        )
        assert created.status_code == 201
        yield sign, call


@pytest.mark.parametrize(("method", "path"), [("POST", "join"), ("GET", "status")])
def test_a_users_own_token_is_asked_for_and_believed(sale: Any, method: str, path: str) -> None:
    sign, call = sale
    assert call(method, path, sign(sub="100")) == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "join"), ("GET", "status"), ("GET", "subscribe")])
def test_anything_else_is_401(sale: Any, method: str, path: str) -> None:
    sign, call = sale
    refused = [
        None,
        "rubbish",
        sign(sub="101"),
        sign(name="100"),
        sign(sub="100", exp=int(time.time()) - 60),
        jwt.encode({"sub": "100"}, "another secret, as long as the other", algorithm="HS256"),
        jwt.encode({"sub": "100"}, None, algorithm="none"),
        jwt.encode({"sub": "100"}, PUBLIC.hex(), algorithm="HS256"),
    ]
    assert [call(method, path, token) for token in refused] == [401] * len(refused)
