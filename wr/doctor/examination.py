"""Checks the set-up of this machine: every check, in the order in which a start would meet its subject."""

import difflib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from wr.doctor import machine
from wr.doctor.events import check_nats
from wr.doctor.finding import Finding, bad, good, unsure
from wr.doctor.store_server import check_engine, check_store
from wr.model.client_address import Network
from wr.server.settings import BadSetting, Settings, describe_settings, load_settings

_TESTS_OWN = "WR_TEST_"


def examine(
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    known_variables: Collection[str],
    expected_crowd: int = 0,
) -> Iterator[Finding]:
    """Check the set-up that `wr serve` would start with; yields each finding as soon as it is known.

    `known_variables` are the environment variables that commands of wr read. `expected_crowd` is how many
    visitors will be connected at the same time; 0 if unknown.
    """
    settings: Settings | None = None
    try:
        settings = load_settings(flags, environment)
    except BadSetting as error:
        yield bad("settings", str(error), "correct it; checks that depend on settings are skipped until then")
    else:
        yield _given_settings(flags, environment)
    yield machine.check_python(sys.version_info[:3])
    if settings is not None:
        yield from _check_what_is_set(settings)
    yield (
        machine.check_crowd(machine.granted_files(), expected_crowd)
        if expected_crowd
        else machine.check_open_files(machine.open_file_limit())
    )
    yield from check_environment(environment, known_variables)


def _given_settings(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Finding:
    given = []
    for setting in describe_settings():
        if flags.get(setting.name) is not None:
            given.append(setting.flag)
        elif setting.variable in environment:
            given.append(setting.variable)
        elif environment.get(setting.also):
            given.append(setting.also)
    return good("settings", f"set: {', '.join(given)}" if given else "all at their defaults")


def _check_what_is_set(settings: Settings) -> Iterator[Finding]:
    yield machine.check_data_dir(settings.data_dir)
    if settings.store_url:
        yield from check_store(settings.store_url)
    else:
        yield check_engine(settings.data_dir)
    yield machine.check_address(settings.bind)
    yield machine.check_admin_key(settings.admin_key, settings.data_dir)
    if settings.session_key_file:
        yield machine.check_session_key(settings.session_key_file)
    yield check_proxies(settings.trusted_proxies)
    if settings.nats_url:
        yield from check_nats(settings.nats_url)


def check_proxies(networks: Sequence[Network]) -> Finding:
    """Check that the server does not trust X-Forwarded-For from every address."""
    everyone = [str(network) for network in networks if network.prefixlen == 0]
    if everyone:
        return unsure(
            "trusted proxies",
            f"{', '.join(everyone)} trusts every address: a visitor can forge addresses to avoid limits",
            "list only your own proxies in --trusted-proxies",
        )
    believed = ", ".join(map(str, networks)) or "none"
    return good("trusted proxies", f"trusted for X-Forwarded-For: {believed}")


def check_environment(environment: Mapping[str, str], known: Collection[str]) -> list[Finding]:
    """Find `WR_` variables that no command reads: they are probably misspelt."""
    strangers = sorted(
        name
        for name in environment
        if name.startswith("WR_") and name not in known and not name.startswith(_TESTS_OWN)
    )
    findings = []
    for name in strangers:
        near = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]}?" if near else "see `wr serve --help`"
        findings.append(unsure("environment", f"{name} is set, but no command reads it", fix))
    return findings or [good("environment", "commands read every WR_ variable that is set")]
