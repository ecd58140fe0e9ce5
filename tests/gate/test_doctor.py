"""`wr doctor --origin` at a real gate in a real proxy: what it finds, and that it takes nobody's room."""

import time

import pytest

from tests.gate.conftest import Gated
from tests.gate.proxies import PROXIES
from wr.doctor.deployment import Deployment, examine_deployment
from wr.doctor.finding import Severity


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_look_at_a_real_gate_leaves_no_session_and_no_place_behind(gated: Gated) -> None:
    gated.room.admin("PATCH", "/queues/demo", {"target_url": f"{gated.url}/"})
    deployment = Deployment.at(f"{gated.url}/", "", "")
    found = {
        finding.subject: finding
        for finding in examine_deployment(
            deployment, "doctor-of-the-tests", now_s=time.time, sleep=lambda _s: time.sleep(0.02)
        )
    }
    assert "admits at once" in found["gate"].found
    assert not [finding for finding in found.values() if finding.is_bad], found
    assert "left behind" not in found
    assert found["entry"].severity is Severity.GOOD
    stats = gated.room.admin("GET", "/queues/demo/stats").json()
    assert stats["total_admitted_today"] >= 2
    assert (stats["current_waiting"], stats["current_active"]) == (0, 0)
