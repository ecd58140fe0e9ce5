"""A new setting of a queue is one definition: messages, commands, documents and the store have it then."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.processes import ADMIN_KEY, ServerProcess
from tests.support.program_copy import DEFAULT, HELP, LABEL, LEAST, MOST, NAME, ProgramCopy
from tests.support.site import BASE, Site
from wr.store.key_names import KeyNames

Commands = Callable[..., tuple[int, str]]
TARGET = "https://shop.example/"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> ProgramCopy:
    return ProgramCopy(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def server(program: ProgramCopy) -> Iterator[ServerProcess]:
    with program.serving() as running:
        yield running


@pytest.fixture(scope="module")
def its_site(server: ServerProcess) -> Iterator[Site]:
    with server.site() as site:
        yield site


@pytest.fixture
def its_wr(program: ProgramCopy, server: ServerProcess) -> Commands:
    """The command line of the copy: exit code and output."""

    def run(*arguments: str) -> tuple[int, str]:
        done = program.run("-m", "wr", *arguments, WR_URL=server.url, WR_ADMIN_KEY=ADMIN_KEY)
        return done.returncode, done.stdout + done.stderr

    return run


def stored(server: ServerProcess, queue_id: str) -> bytes:
    """The setting as the store has it."""
    (key,) = KeyNames("wr").queue(queue_id, "config")
    with server.store.client() as client:
        value = client.hget(key, NAME)
    assert isinstance(value, bytes)
    return value


def test_it_is_in_the_messages_that_create_change_and_show_a_queue(
    its_site: Site, server: ServerProcess
) -> None:
    made = its_site.admin("POST", "/queues", {"id": "told", "target_url": TARGET, NAME: 7})
    assert (made.status_code, made.json()[NAME]) == (201, 7)
    assert stored(server, "told") == b"7"
    changed = its_site.admin("PATCH", "/queues/told", {NAME: 8})
    assert (changed.status_code, changed.json()[NAME]) == (200, 8)
    assert stored(server, "told") == b"8"
    assert its_site.admin("GET", "/queues/told").json()[NAME] == 8
    (listed,) = [
        each["queue"]
        for each in its_site.admin("GET", "/queues").json()["queues"]
        if each["queue"]["id"] == "told"
    ]
    assert listed[NAME] == 8
    assert its_site.http.get(f"{BASE}/queues/told").json()[NAME] == 8, "visitors may see it"
    (entry,) = [
        each["changes"]
        for each in its_site.admin("GET", "/audit?queue_id=told").json()["entries"]
        if each["action"] == "queue.updated"
    ]
    assert entry == {NAME: {"from": 7, "to": 8}}


def test_a_queue_that_says_nothing_gets_its_default(its_site: Site, server: ServerProcess) -> None:
    made = its_site.admin("POST", "/queues", {"id": "silent", "target_url": TARGET})
    assert made.json()[NAME] == DEFAULT
    assert stored(server, "silent") == str(DEFAULT).encode()


@pytest.mark.parametrize("value", [LEAST - 1, MOST + 1, "many", None])
def test_its_limits_hold(its_site: Site, value: object) -> None:
    its_site.admin("POST", "/queues", {"id": "limited", "target_url": TARGET})
    refused = its_site.admin("PATCH", "/queues/limited", {NAME: value})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert its_site.admin("GET", "/queues/limited").json()[NAME] == DEFAULT


def test_the_command_line_has_it(its_wr: Commands, its_site: Site) -> None:
    code, said = its_wr("queue", "create", "typed", "--target-url", TARGET, f"--{NAME}", "4", "--json")
    assert (code, json.loads(said)[NAME]) == (0, 4)
    code, said = its_wr("queue", "update", "typed", f"--{NAME}", "5")
    assert code == 0, said
    assert its_site.admin("GET", "/queues/typed").json()[NAME] == 5
    code, said = its_wr("queue", "show", "typed")
    assert (code, HELP in said) == (0, True)
    code, said = its_wr("queue", "update", "typed", f"--{NAME}", str(MOST + 1))
    assert (code, NAME in said) == (2, True)
    for command in ("create", "update"):
        code, said = its_wr("queue", command, "--help")
        assert code == 0
        assert f"--{NAME} NUMBER" in said
        assert HELP in said


def test_the_description_of_the_api_has_it(program: ProgramCopy) -> None:
    schemas: dict[str, Any] = json.loads(program.run("-m", "wr", "openapi").stdout)["components"]["schemas"]
    limits = {"type": "integer", "minimum": LEAST, "maximum": MOST, "description": HELP}
    assert schemas["CreateQueueRequest"]["properties"][NAME] == {**limits, "default": DEFAULT}
    assert schemas["UpdateQueueRequest"]["properties"][NAME] == limits
    assert schemas["QueueResponse"]["properties"][NAME] == {"type": "integer", "default": DEFAULT}
    assert schemas["PublicQueueResponse"]["properties"][NAME] == {"type": "integer"}


def test_the_readme_and_the_console_get_it(program: ProgramCopy) -> None:
    made = "from tests.support.readme import queue_settings_table; print(queue_settings_table())"
    assert f"| `{NAME}` | {DEFAULT} | {HELP} |" in program.run("-c", made).stdout
    made = "from wr.web.console_settings import console_settings; print(console_settings().decode())"
    (group,) = [each for each in json.loads(program.run("-c", made).stdout) if each["title"] == "People"]
    assert group["fields"][-1] == {
        **{"name": NAME, "label": LABEL, "kind": "integer", "unit": "times"},
        **{"least": LEAST, "usual": DEFAULT},
    }


def test_a_store_of_an_earlier_version_has_queues_without_it(its_site: Site, server: ServerProcess) -> None:
    its_site.admin("POST", "/queues", {"id": "earlier", "target_url": TARGET, NAME: 6})
    (key,) = KeyNames("wr").queue("earlier", "config")
    with server.store.client() as client:
        assert client.hdel(key, NAME) == 1
    assert its_site.admin("GET", "/queues/earlier").json()[NAME] == DEFAULT
