"""What the web page reads from its environment."""

from typing import Annotated

import httpx
from pydantic import AfterValidator, Field

from boatyard.config.environment import Flag, Listening, Port, written


def _check(address: str) -> str:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not an address")
    return address.rstrip("/")


_Address = Annotated[str, AfterValidator(_check)]


class Settings(Listening):
    """Where the page listens, and the services that it shows."""

    port: Port = 8501
    api: _Address = Field(
        "http://localhost:8000", validation_alias="BOATYARD_API", description="an address such as http://localhost:8000"
    )
    # part: monitor
    monitor: _Address = Field(
        "http://localhost:8001",
        validation_alias="BOATYARD_MONITOR",
        description="an address such as http://localhost:8001",
    )
    # part end
    idle_minutes: Annotated[float, written(r"[0-9]{1,5}(\.[0-9]{1,3})?")] = Field(
        0, validation_alias="BOATYARD_IDLE_MINUTES", description="a number of minutes"
    )
    """After so many without use a tab leaves the page; 0: never."""
    # part: cloud
    google_identity: Flag = Field(False, validation_alias="BOATYARD_GOOGLE_IDENTITY")
    """Whether the services are sent an identity token of the account that the page runs as."""
    metadata_server: str = Field("metadata.google.internal", validation_alias="GCE_METADATA_HOST")
    """Gives those tokens."""
    # part end
