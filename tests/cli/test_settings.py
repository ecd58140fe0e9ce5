"""Settings: from flags, environment and defaults to one frozen object, or one clear complaint."""

import socket
from dataclasses import fields

import click
import pytest

from tests.cli.conftest import run_wr
from wr.cli.options import setting_options
from wr.server.setting_values import split_bind
from wr.server.settings import BadSetting, Settings, describe_settings, load_settings

DESCRIBED = {setting.name: setting for setting in describe_settings()}


def test_every_setting_is_described_once() -> None:
    assert sorted(DESCRIBED) == sorted(field.name for field in fields(Settings))
    assert len(DESCRIBED) == len(describe_settings())


@pytest.mark.parametrize("name", sorted(DESCRIBED))
def test_a_default_written_out_means_the_default(name: str) -> None:
    setting = DESCRIBED[name]
    assert load_settings({name: setting.default}, {}) == Settings()
    assert load_settings({}, {setting.variable: setting.default}) == Settings()


@pytest.mark.parametrize("name", sorted(DESCRIBED))
def test_the_names_of_a_setting_follow_from_each_other(name: str) -> None:
    assert DESCRIBED[name].flag == "--" + name.replace("_", "-")
    assert DESCRIBED[name].variable == "WR_" + name.upper()
    assert DESCRIBED[name].help[0].isupper()
    assert not DESCRIBED[name].help.endswith(".")


def test_a_flag_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {"WR_GRACE": "3", "WR_STORE_PREFIX": "other"}
    settings = load_settings({"grace": "5", "store_prefix": None}, environment)
    assert (settings.grace, settings.store_prefix, settings.bind) == (5.0, "other", "127.0.0.1:8080")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bind", "8080"),
        ("bind", ":8080"),
        ("bind", "127.0.0.1:http"),
        ("bind", "127.0.0.1:65536"),
        ("trusted_proxies", "10.0.0.0/40"),
        ("store_fsync", "never"),
        ("limit_enqueue", "10"),
        ("limit_enqueue", "10/0"),
        ("limit_admin", "-1/60"),
        ("admission_interval", "0"),
        ("admission_interval", "nan"),
        ("grace", "soon"),
        ("session_algorithm", "none"),
        ("position_algorithm", "hs256"),
        ("log_format", "xml"),
        ("demo_queue", "perhaps"),
    ],
)
def test_a_bad_value_is_reported_under_the_name_it_was_given_by(name: str, text: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{DESCRIBED[name].flag}: .*'?{text}"):
        load_settings({name: text}, {})
    with pytest.raises(BadSetting, match=rf"^{DESCRIBED[name].variable}: "):
        load_settings({}, {DESCRIBED[name].variable: text})


@pytest.mark.parametrize(
    ("variable", "name", "text", "own"),
    [
        ("PORT", "bind", "9000", "127.0.0.1:7000"),
        ("DRAGONFLYDB_URL", "store_url", "redis://dragonfly:6379", "redis://other:6379"),
        ("NATS_URL", "nats_url", "nats://nats:4222", "nats://other:4222"),
        ("LOG_LEVEL", "log_level", "warning", "debug"),
    ],
)
def test_a_variable_without_the_prefix_counts_where_the_settings_own_is_not_set(
    variable: str, name: str, text: str, own: str
) -> None:
    meant = "127.0.0.1:9000" if name == "bind" else text
    assert getattr(load_settings({}, {variable: text}), name) == meant
    assert getattr(load_settings({}, {variable: text, DESCRIBED[name].variable: own}), name) == own
    assert getattr(load_settings({name: own}, {variable: text}), name) == own
    assert load_settings({}, {variable: ""}) == Settings(), "an empty one counts as not set"
    assert variable in DESCRIBED[name].help


@pytest.mark.parametrize(
    ("environment", "bind"),
    [
        ({"WR_BIND": "0.0.0.0", "PORT": "9000"}, "0.0.0.0:9000"),
        ({"WR_BIND": "0.0.0.0"}, "0.0.0.0:8080"),
        ({"WR_BIND": "::", "PORT": "9000"}, "[::]:9000"),
        ({"WR_BIND": "[::1]"}, "[::1]:8080"),
    ],
)
def test_an_address_without_a_port_is_joined_with_the_platforms(
    environment: dict[str, str], bind: str
) -> None:
    assert load_settings({}, environment).bind == bind


@pytest.mark.parametrize(("variable", "text"), [("PORT", "http"), ("LOG_LEVEL", "loud"), ("NATS_URL", "x")])
def test_a_bad_value_of_such_a_variable_is_reported_under_its_name(variable: str, text: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{variable}: "):
        load_settings({}, {variable: text})


@pytest.mark.parametrize(
    ("text", "level"),
    [("INFO", "info"), ("Debug", "debug"), ("WARN", "warning"), ("trace", "debug"), ("fatal", "error")],
)
def test_a_log_level_is_understood_as_it_is_commonly_spelled(text: str, level: str) -> None:
    assert load_settings({"log_level": text}, {}).log_level == level


def test_an_address_is_split_into_host_and_port() -> None:
    assert split_bind("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert split_bind("[::1]:0") == ("::1", 0)


def test_a_switch_can_be_turned_off_where_the_environment_turns_it_on() -> None:
    seen: list[dict[str, str | None]] = []

    @click.command()
    @setting_options
    def command(**flags: str | None) -> None:
        seen.append(flags)

    for given in (["--no-demo-queue"], ["--demo-queue"], []):
        command.main(given, standalone_mode=False)
    assert [flags["demo_queue"] for flags in seen] == ["no", "yes", None]
    loaded = [load_settings(flags, {"WR_DEMO_QUEUE": "yes"}).demo_queue for flags in seen]
    assert loaded == [False, True, True]


def test_a_bad_setting_ends_wr_serve_with_one_line_and_exit_code_2() -> None:
    result = run_wr("serve", "--bind", "nowhere")
    assert result.exit_code == 2
    assert result.stderr == "wr: --bind: 'nowhere' is not ADDRESS:PORT, such as 127.0.0.1:8080\n"


def test_a_port_that_is_taken_ends_wr_serve_with_one_line_and_exit_code_1(tmp_path: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run_wr("serve", "--bind", bind, "--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == f"wr: cannot listen on {bind}: Address already in use\n"
