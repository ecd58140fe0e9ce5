"""Settings of keys and tokens: the secrets of operator and site, and how tokens are signed and verified."""

from dataclasses import dataclass

from wr.model.signing import Algorithm
from wr.server.setting_fields import Group, setting
from wr.server.setting_values import algorithm, boolean, choice, seconds


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    """Settings under the headings of the keys and of the tokens."""

    admin_key: str = setting(
        "",
        "Secret that admin calls send as X-Admin-Key. Set the variable, not the option: other users of the "
        "machine can read command lines. If it is not set, the server generates a key, prints it once to a "
        "terminal, and keeps it in the store and in the file admin-key in the data folder",
        group=Group.ADMIN,
        form="KEY",
    )
    show_admin_key: bool = setting(
        False,
        "Print the admin key at every start, not only when the server generates it. The server prints it to "
        "a terminal only, never to a log",
        boolean,
        group=Group.ADMIN,
    )
    origin_key: str = setting(
        "",
        "Secret with which the site behind the gate ends or extends sessions, sent as X-WR-Origin-Key. If it "
        "is not set, only calls with the admin key may do that",
        group=Group.ADMIN,
        form="KEY",
    )
    waiting_queue_auth: str = setting(
        "none",
        "Whether the second API (/api/v1/waiting-queue) requires your users' own tokens. none: no. jwt: yes, "
        "a bearer token whose sub equals the userId of the call",
        choice("none", "jwt"),
        group=Group.TOKENS,
        form="none|jwt",
    )
    waiting_queue_key_file: str = setting(
        "",
        "File with the key that verifies those tokens: a PEM public key, or a shared secret of at least 32 "
        "bytes. Required with jwt, unused with none",
        group=Group.TOKENS,
        form="FILE",
    )
    position_token_lifetime: float = setting(
        1800.0,
        "Seconds that a position token is valid. A visitor who keeps polling receives a new token before the "
        "old one expires",
        seconds,
        group=Group.TOKENS,
        form="SECONDS",
    )
    pass_key: str = setting(
        "",
        "Key that verifies the passes that your site signs: a file with a PEM public key or with a shared "
        "secret of at least 32 bytes, or the URL of a JWKS. If it is not set, the server accepts only passes "
        "from `wr pass issue`",
        group=Group.TOKENS,
        form="FILE|URL",
    )
    position_algorithm: Algorithm = setting(
        Algorithm.HS256,
        "Algorithm that signs position tokens. Only wr reads these tokens, so the default is the fastest",
        algorithm,
        group=Group.TOKENS,
        form="|".join(Algorithm),
    )
    session_algorithm: Algorithm = setting(
        Algorithm.RS256,
        "Algorithm that signs session tokens. Your site verifies them with the public key that the server "
        "publishes at /.well-known/jwks.json. HS256 has no public key, so a site cannot verify it that way",
        algorithm,
        group=Group.TOKENS,
        form="|".join(Algorithm),
    )
    session_key_file: str = setting(
        "",
        "PEM file with the private key that signs session tokens. If it is not set, the server generates one "
        "and keeps it in the store",
        group=Group.TOKENS,
        form="FILE",
    )
