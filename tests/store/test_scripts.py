"""Each Lua file says what it takes, and takes what its Python caller gives."""

import re
from importlib.resources import files
from typing import Any

import pytest

from wr.model.history import HistorySpan
from wr.model.limits import Limit
from wr.model.queue_settings import SETTINGS, QueueConfig
from wr.store.admit import NOTHING_KNOWN, AdmitScript
from wr.store.block import Blocking, BlockNote, BlockScript
from wr.store.configure import ConfigureScript, setting_text
from wr.store.count_silent import CountSilentScript
from wr.store.enqueue import EnqueueScript
from wr.store.extend import ExtendScript
from wr.store.find import FindScript
from wr.store.flush import FlushScript
from wr.store.gate import GateScript
from wr.store.history import HistoryScript
from wr.store.key_names import KeyNames
from wr.store.leave import LeaveScript
from wr.store.poll import PollScript
from wr.store.recall import RecallScript
from wr.store.reinstate import ReinstateScript
from wr.store.restore import RestoreScript
from wr.store.revoke_pass import RevokePassScript
from wr.store.round import RoundScript
from wr.store.script import load_script
from wr.store.statistics import StatisticsScript
from wr.store.visit import VisitScript
from wr.store.webhook import WebhookScript

FOLDER = files("wr.store") / "scripts"
NAMES = sorted(entry.name.removesuffix(".lua") for entry in FOLDER.iterdir() if entry.name.endswith(".lua"))
LIMIT = Limit(1)
KEYS = KeyNames("p")
CONFIG = QueueConfig(id="q", name="Q", target_url="https://shop.example/")
CALLS: dict[str, Any] = {
    "enqueue": lambda: EnqueueScript(KEYS, LIMIT).call("q", 0, []),
    "poll": lambda: PollScript(KEYS, LIMIT, LIMIT).call("q", 0, []),
    "visit": lambda: VisitScript(KEYS, LIMIT, LIMIT).call("q", 0, []),
    "leave": lambda: LeaveScript(KEYS, LIMIT).call("q", 0, []),
    "admit": lambda: AdmitScript(KEYS).call("q", 0),
    "statistics": lambda: StatisticsScript(KEYS).call("q", 0),
    "gate": lambda: GateScript(KEYS).call("q", 0, []),
    "extend": lambda: ExtendScript(KEYS).call("q", 0, b"", 1),
    "restore": lambda: RestoreScript(KEYS).call("q", 0, NOTHING_KNOWN, []),
    "revoke_pass": lambda: RevokePassScript(KEYS).call("q", b"", 0, 0),
    "find": lambda: FindScript(KEYS).call("q", 0, b""),
    "count_silent": lambda: CountSilentScript(KEYS).call("q", 0, 1),
    "configure": lambda: ConfigureScript(KEYS).call(CONFIG, 0),
    "flush": lambda: FlushScript(KEYS).call("q", 0, 1, tells_ids=False),
    "recall": lambda: RecallScript(KEYS).call("q", 0, []),
    "reinstate": lambda: ReinstateScript(KEYS).call(CONFIG, [], []),
    "block": lambda: BlockScript(KEYS).call(
        "q", 0, Blocking(until_ms=1, note=BlockNote(created_ms=0, reason="", of=""))
    ),
    "round": lambda: RoundScript(KEYS).call(0, 0),
    "webhook": lambda: WebhookScript(KEYS).call("w", b"", b""),
    "history": lambda: HistoryScript(KEYS).call("q", HistorySpan.DAY, 0),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_opens_with_its_keys_arguments_reply_and_cost(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text()
    header = "\n".join(line for line in text.split("\nlocal ")[0].splitlines() if line.startswith("--"))
    for part in ("KEYS", "ARGV", "reply", "cost"):
        assert re.search(rf"^-- {part}\s+\S", header, re.MULTILINE), f"{name}.lua says nothing of its {part}"


def instead(name: str) -> dict[str, str]:
    """What a script takes for each setting that it does not find in a queue's hash."""
    text = (FOLDER / f"{name}.lua").read_text()
    read = re.search(r"local config = redis\.call\('HMGET', KEYS\[1\], (.+?)\)", text, re.DOTALL)
    if read is None:
        return {}
    fields = re.findall(r"'(\w+)'", read[1])
    return {
        fields[int(index) - 1]: value for index, value in re.findall(r"config\[(\d+)\] or '([^']+)'", text)
    }


def test_a_setting_that_an_earlier_version_did_not_write_has_its_default_in_the_scripts_too() -> None:
    found = {(name, setting): value for name in NAMES for setting, value in instead(name).items()}
    defaults = {setting.name: setting_text(setting.default) for setting in SETTINGS}
    # Every version has written it: there it stands for a queue that does not exist.
    assert found.pop(("enqueue", "max_queue_size")) == "0"
    compared = {place: value for place, value in found.items() if place[1] in defaults}
    assert compared == {place: defaults[place[1]] for place in compared}
    assert {("admit", "priority_share"), ("gate", "session_binding")} <= compared.keys()


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_script_is_given_the_keys_its_header_names_in_that_order(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text()
    named = re.search(r"^-- KEYS(.+?)^-- ARGV", text, re.MULTILINE | re.DOTALL)
    assert named is not None
    keys, _ = CALLS[name]()
    # What belongs to all queues is named in brackets.
    spelled = [re.sub(r"p:\{\*\}:(\w+)", r"[\1]", key).replace("limit_enqueue", "limit") for key in keys]
    parts = [key.removeprefix("p:{q}:") for key in spelled]
    assert parts == named[1].partition("(")[0].replace("--", "").split()


def test_every_key_a_script_names_is_one_a_queue_is_known_to_have() -> None:
    shared = ("limit_enqueue", "queues", "rounds", "webhooks")
    known = {*KEYS.all_of("q"), *map(KEYS.shared, shared)}
    for call in CALLS.values():
        keys, _ = call()
        assert set(keys) <= known


def test_all_keys_of_a_queue_share_its_hash_tag() -> None:
    assert {re.findall(r"\{(.+?)\}", key)[0] for key in KEYS.all_of("concert-1")} == {"concert-1"}


@pytest.mark.parametrize("name", NAMES)
def test_no_script_asks_for_what_the_engines_do_not_share(name: str) -> None:
    text = load_script(name).text
    for foreign in ("#!lua", "cjson", "cmsgpack", "math.random", "redis.replicate", "table.getn", "//"):
        assert foreign not in text.replace("://", ""), f"{name}.lua uses {foreign}"
