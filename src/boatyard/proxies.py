"""What the environment says of proxies, put right."""

import os
from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def reach_this_machine_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Put no proxy that the environment names before this machine's own services.

    Every HTTP client here reads NO_PROXY, as do the processes that are started; none exempts the loopback by itself.
    """
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host for host in map(str.strip, named.split(",")) if host]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(hosts)
