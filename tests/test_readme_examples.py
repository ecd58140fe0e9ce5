"""The README's examples, run as they stand."""

import json
import re
import subprocess
from pathlib import Path

from tests.support import plain_http
from tests.support.clock import HandClock
from tests.support.readme import README
from tests.support.server import running_server


def example(name: str) -> str:
    """The shell block that follows a marker `<!-- example: name -->`."""
    found = re.search(rf"<!-- example: {name} -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None, f"the README has no example called {name}"
    return found[1]


def run(line: str, **variables: str) -> dict[str, object]:
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", **variables},
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_the_first_two_calls_of_the_readme_work(tmp_path: Path) -> None:
    with running_server(HandClock(), data_dir=str(tmp_path / "data"), demo_queue="yes") as ready:
        join, status = example("join").replace("http://127.0.0.1:8080", ready.url).strip().splitlines()
        joined = run(join)
        assert joined["position"] == 1
        assert run(status, TOKEN=str(joined["token"]))["status"] in ("waiting", "admitted")
        assert plain_http.get(f"{ready.url}/.well-known/jwks.json").json()["keys"]
