"""`wr rehearse --live` against the real server: visitors who are told instead of asking."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import plain_http
from tests.support.server import running_server

pytestmark = pytest.mark.alone

SALE = {
    "id": "sale",
    "target_url": "https://shop.example/checkout",
    "admission_rate": 15,
    "max_active_users": 30,
    "session_timeout_seconds": 60,
    "heartbeat_interval_seconds": 2,
    "heartbeat_timeout_seconds": 4,
}


def test_a_live_sale_is_played_and_no_promise_is_broken(tmp_path: Path) -> None:
    with running_server(None, data_dir=str(tmp_path), limit_admin="0") as ready:
        headers = {"X-Admin-Key": ready.admin_key}
        created = plain_http.post(f"{ready.url}/api/v1/admin/queues", json=SALE, headers=headers)
        assert created.status_code == 201
        command = [sys.executable, "-m", "wr", "rehearse", "--live", "--queue", "sale", "--visitors", "205"]
        command += ["--join-rate", "400", "--seed", "1373"]
        command += ["--url", ready.url, "--admin-key", ready.admin_key]
        # A process of its own: thousands of streams are a strain that the server's thread should not share.
        played = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "No promise was broken." in played.stdout
    marks = [line.split()[0] for line in played.stdout.splitlines() if line[1:2] in ("✓", "✗", "–")]
    assert marks == ["✓"] * 11, played.stdout
