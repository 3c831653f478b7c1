"""Where a cluster's machines find the bot."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from bot.errors import BadInput
from engine.fleet.machines.dialing import address_of

EVERYWHERE = ("0.0.0.0", "::")
CLOSED = (
    "The machines of {cluster} can't reach this bot, whose web server listens on {host} alone. Set EASEL_WEB_ADDRESS "
    "to its public address, or EASEL_WEB_HOST=0.0.0.0 where the cluster is in the same network."
)


def way_in(web_address: str, host: str, port: int, cluster: str) -> str:
    """The address that workers dial in to. Raises: BadInput where none would find it.

    `web_address`: the public one, if there is any. `host`, `port`: where the web server listens. `cluster`: the URL of
    its dashboard.
    """
    if web_address.startswith("http"):
        return address_of(web_address)
    there = urlsplit(cluster).hostname or ""
    if host in EVERYWHERE:
        host = _as_seen_from(there)
    elif _is_loopback(host) and not _is_loopback(there):
        raise BadInput(CLOSED.format(cluster=cluster, host=host))
    return address_of(f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}")


def _as_seen_from(there: str) -> str:
    """This machine's address in the network that leads there; nothing is sent. Raises: BadInput."""
    try:
        family, _, _, _, target = socket.getaddrinfo(there, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise BadInput(f"There is no way to {there}, where EASEL_ENGINE says the cluster is ({error}).") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
