"""Settings of the network: address, proxies, TLS, HTTP versions, limits and timeouts of connections."""

from dataclasses import dataclass

from wr.model.client_address import Network, parse_networks
from wr.server.setting_fields import Group, setting
from wr.server.setting_values import bind, choice, count, on_or_off, origin, origins, positive_count, seconds


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Settings under the heading Network."""

    bind: str = setting(
        "127.0.0.1:8080",
        "Address and port to listen on. 127.0.0.1 accepts connections from this machine only, 0.0.0.0 from "
        "everywhere. Port 0 picks a free port. Without a port, the port is PORT, or 8080 if PORT is not set",
        bind,
        group=Group.NETWORK,
        form="ADDRESS[:PORT]",
        also="PORT",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        parse_networks("127.0.0.0/8, ::1/128"),
        "Addresses or networks of your own proxies, separated by commas, such as 10.0.0.5, 192.168.0.0/16. "
        "The server reads a visitor's address from X-Forwarded-For only if one of these proxies sent the "
        "request. The default trusts this machine only",
        parse_networks,
        group=Group.NETWORK,
        form="NETWORKS",
    )
    public_url: str = setting(
        "",
        "Origin under which visitors reach the server, such as https://wait.example.com. QR codes and links "
        "contain it. If it is not set, they contain the host of the request",
        origin,
        group=Group.NETWORK,
        form="URL",
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        "Sites whose pages may call the visitors' API from a browser (CORS), separated by commas, such as "
        "https://shop.example.com. * allows all sites. If it is not set, no other site may",
        origins,
        group=Group.NETWORK,
        form="ORIGINS",
    )
    tls_certificate_file: str = setting(
        "",
        "PEM file with the server's certificate and its intermediate certificates. If it is set, the server "
        "speaks https only. If it is not set, the server speaks http only",
        group=Group.NETWORK,
        form="FILE",
    )
    tls_key_file: str = setting(
        "",
        "PEM file with the certificate's private key, without a passphrase. If it is not set, the server "
        "looks for the key in the certificate's file",
        group=Group.NETWORK,
        form="FILE",
    )
    http2: str = setting(
        "off",
        "Which connections may use HTTP/2. off: none. tls: those whose client asks for it in the TLS "
        "handshake. on: also those that start with it, with or without TLS. A request over HTTP/2 costs "
        "several times as much processor time as one over HTTP/1.1",
        choice("off", "tls", "on"),
        group=Group.NETWORK,
        form="off|tls|on",
    )
    fast_lane: bool = setting(
        True,
        "Serve plain HTTP/1.1 requests and live streams without the general-purpose web framework, which is "
        "several times as fast. Turn it off to compare, or to find out in which of the two a fault is",
        on_or_off,
        group=Group.NETWORK,
        form="on|off",
    )
    max_connections: int = setting(
        0,
        "Connections that the server serves at the same time. It answers a few more with 503; the rest wait "
        "until it accepts them. 0 means as many as the limit on open files (ulimit -n) allows",
        count,
        group=Group.NETWORK,
        form="COUNT",
    )
    connections_per_address: int = setting(
        0,
        "Connections that one client address (IPv4 address or IPv6 /64) may hold at the same time, and also "
        "live streams. Trusted proxies may hold any number. 0 means a tenth of the connections that are "
        "served at the same time, at least 64",
        count,
        group=Group.NETWORK,
        form="COUNT",
    )
    requests_per_connection: int = setting(
        10_000,
        "Requests on one connection, after which the server asks the client to open a new connection",
        positive_count,
        group=Group.NETWORK,
        form="COUNT",
    )
    idle_timeout: float = setting(
        75.0,
        "Seconds that a connection may stay open between two requests. Behind a proxy, set it higher than "
        "the proxy's own idle timeout; otherwise the proxy may send a request on a closed connection",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    head_timeout: float = setting(
        10.0,
        "Seconds within which the headers of a request must arrive, and the first byte of a new connection",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    body_timeout: float = setting(
        20.0,
        "Seconds within which the body of a request must arrive. A body has at most a few kilobytes",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
    send_timeout: float = setting(
        30.0,
        "Seconds within which a client must read what the server sends. After that the server closes the "
        "connection",
        seconds,
        group=Group.NETWORK,
        form="SECONDS",
    )
