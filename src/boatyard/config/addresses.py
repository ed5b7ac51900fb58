"""The loopback, and direct access to services on it. Imports nothing heavy."""

import errno
import os
import socket
from collections.abc import MutableMapping

from boatyard.config.errors import UserError

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


def check_port(host: str, port: int) -> None:
    """Raises UserError where a server could not listen there, before it has begun to load anything."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, place in places:
            with socket.socket(family, socket.SOCK_STREAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    tried.bind(place)
                except OSError as why:
                    if why.errno != errno.EADDRNOTAVAIL or len(places) == 1:  # as ::1 is, where IPv6 is off
                        raise
    except OSError as why:
        if why.errno != errno.EADDRINUSE:
            raise UserError(f"BOATYARD_HOST, PORT: cannot listen on port {port} of {host}: {why.strerror}") from None
        other = port + 10 if port < 65_000 else port - 10  # the next one is often that of another of these servers
        raise UserError(
            f"port {port} of {host} is in use: stop what uses it, or choose another with PORT={other}"
        ) from None


def answers(address: str) -> bool:
    """Whether something takes a connection at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5.0):
            return True
    except (OSError, ValueError):
        return False
