"""The loopback, and direct access to services on it. Imports nothing heavy."""

import os
import socket
from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def reach_this_machine_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Exempt the loopback addresses from the environment's proxies, through NO_PROXY.

    All HTTP clients used here read it, also in child processes; none exempts the loopback by default.
    """
    value = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host for host in map(str.strip, value.split(",")) if host]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)


def answers(address: str) -> bool:
    """Whether something takes a connection at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5.0):
            return True
    except (OSError, ValueError):
        return False
