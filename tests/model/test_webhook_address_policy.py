"""Which addresses may be called. They are judged only: nothing is sent to any of them."""

import pytest

from wr.model.client_address import parse_networks
from wr.model.webhook_address_policy import is_forbidden
from wr.server.settings import Settings

UNLESS_TOLD_OTHERWISE = Settings.__dataclass_fields__["webhook_forbidden"].default


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::",
        "64:ff9b::a83f:8110",
    ],
)
def test_where_clouds_keep_secrets_is_forbidden_however_it_is_spelled(address: str) -> None:
    assert is_forbidden(address, UNLESS_TOLD_OTHERWISE)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "::1", "::", "2001:db8::1", "64:ff9b::a01:203", "2002:a01:203::"]
)
def test_everything_else_may_be_called(address: str) -> None:
    assert not is_forbidden(address, UNLESS_TOLD_OTHERWISE)


def test_this_machine_is_not_taken_for_an_ipv4_address_inside_another() -> None:
    assert not is_forbidden("::1", parse_networks("0.0.0.0/8"))
    assert is_forbidden("::1", parse_networks("::1/128"))
    assert is_forbidden("64:ff9b::7f00:1", parse_networks("127.0.0.0/8"))
