"""Ports to listen on, and direct access to services on this machine. Imports nothing heavy."""

import os
from collections.abc import Mapping, MutableMapping

from boatyard.config.errors import UserError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def is_port(text: str) -> bool:
    """Whether it is a port number from 1 to 65535."""
    return text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535


def read_port(environment: Mapping[str, str], default: int, variable: str = "PORT") -> int:
    """The port in an environment variable. Raises UserError, which names the variable."""
    port = environment.get(variable) or str(default)
    if not is_port(port):
        raise UserError(f"{variable}: {port!r} is not a port: it is a number from 1 to 65535")
    return int(port)


def reach_this_machine_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Exempt the loopback addresses from the environment's proxies, through NO_PROXY.

    All HTTP clients used here read it, also in child processes; none exempts the loopback by default.
    """
    value = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host for host in map(str.strip, value.split(",")) if host]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)
