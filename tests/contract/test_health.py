"""GET /health."""

import pytest

from tests.contract.conftest import Stranded
from tests.support.site import BASE, Site

PATHS = ["/health", f"{BASE}/health"]


@pytest.mark.parametrize("path", PATHS)
def test_health_is_200_with_the_contracts_fields_and_needs_no_token(site: Site, path: str) -> None:
    response = site.http.get(path)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"status", "version", "uptime_seconds", "components"}
    assert body["status"] == "healthy"
    assert isinstance(body["version"], str)
    assert isinstance(body["uptime_seconds"], int)
    assert body["uptime_seconds"] >= 0
    assert body["components"] == {"dragonflydb": "healthy", "nats": "disabled"}


@pytest.mark.parametrize("path", PATHS)
def test_health_is_503_and_names_the_store_while_it_is_away(stranded: Stranded, path: str) -> None:
    response = stranded.site.http.get(path)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    body = response.json()
    assert set(body) == {"status", "version", "uptime_seconds", "components"}
    assert body["status"] == "unhealthy"
    assert body["components"] == {"dragonflydb": "unhealthy", "nats": "disabled"}
