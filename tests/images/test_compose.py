"""deploy/local/compose.yaml: the built images, all of them at once on one machine."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from containers import Compose, Container, Docker
from processes import free_port
from references import publish_watchable

from boatyard.storage import open_storage

pytestmark = pytest.mark.images

FILE = Path(__file__).parents[2] / "deploy" / "local" / "compose.yaml"
SERVICES = ("api", "monitor", "frontend")  # Prometheus' image is another's
TEXTS = ["my card was stolen", "send a transfer", "the fee"] * 50
SHOW = """
import json
from streamlit.testing.v1 import AppTest
shown = {}
for page in ("about", "drift", "models", "predict", "traffic"):
    script = f"from boatyard.frontend import {page}, services; {page}.show(*services.addresses())"
    ran = AppTest.from_string(script).run(timeout=60)
    said = " ".join(str(one.value) for one in (*ran.success, *ran.text, *ran.multiselect))
    shown[page] = [one.value for one in (*ran.exception, *ran.error)], said
print(json.dumps(shown))
"""  # what goes wrong with each page as the container draws it, and what the page says


def command(docker: Docker) -> list[str]:
    """What compose is called here: a plugin of docker's, or Debian's program."""
    for words in (["docker", "compose"], ["docker-compose"]):
        try:
            subprocess.run([*words, "version"], env=docker.environment, capture_output=True, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return words
    pytest.skip("neither `docker compose` nor `docker-compose` is here")


@pytest.fixture(scope="module")
def compose(images: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    folder = tmp_path_factory.mktemp("compose")
    publish_watchable(open_storage(f"{folder}/storage"), folder, TEXTS)
    ports = {service: free_port() for service in SERVICES}
    given = {f"{service.upper()}_PORT": str(port) for service, port in ports.items()}
    given |= {
        "BOATYARD_MODEL": "ferry",
        "BOATYARD_STORAGE": f"{folder}/storage",
        "BOATYARD_USER": f"{os.getuid()}:{os.getgid()}",
    }
    project = [f"--project-name=boatyard-{os.getpid()}", f"--file={FILE}"]
    made = Compose(Docker(images.environment | given), [*command(images), *project], ports)
    yield made
    made.run("down", "--timeout=1")


@pytest.fixture
def containers(compose: Compose) -> list[Container]:
    """Of SERVICES, healthy."""
    compose.run("up", "--detach", *SERVICES)
    found = [compose.container(service) for service in SERVICES]
    for container in found:
        container.wait_until_healthy()
    return found


def test_what_the_api_answers_the_monitor_looks_at_and_the_page_sees(
    compose: Compose, containers: list[Container], client: httpx.Client
) -> None:
    api, monitor, frontend = (container.url for container in containers)
    asked = client.post(f"{api}/predict", json={"inputs": [{"text": text} for text in TEXTS[:120]]}).json()
    assert [answer["label"] for answer in asked["predictions"][:3]] == ["card_lost", "transfer", "fees"]

    compose.run("kill", "-s", "KILL", "api")
    compose.run("up", "--detach", "api")
    limit = time.monotonic() + 60
    while client.get(f"{monitor}/statistics").json()["rows"] < 120:
        assert time.monotonic() < limit, "what the killed api had answered is lost"
        time.sleep(0.2)
    told = client.post(f"{monitor}/drift/run").json()
    assert (told["window"]["rows"], told["alarm"]) == (120, False)

    assert client.get(f"{frontend}/_stcore/health").text == "ok"
    here = "--workdir=/app/src/boatyard/frontend"  # where its settings lie
    shown = json.loads(compose.run("exec", "-T", here, "frontend", "python", "-c", SHOW).stdout)
    assert {page: troubles for page, (troubles, _) in shown.items() if troubles} == {}
    assert "All is well" in shown["drift"][1], "the monitor's"
    assert told["version"] in shown["models"][1], "the api's"


def test_each_service_is_hardened_and_reached_from_this_machine_alone(containers: list[Container]) -> None:
    for container in containers:
        inspected = container.docker.run("inspect", "--format={{json .HostConfig}}", container.id).stdout
        host = json.loads(inspected)
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert container.shell("id -u; id -g").split() == [str(os.getuid()), str(os.getgid())]
        container.shell("touch /app/x", status=1)
        httpx.get(container.url)
        with pytest.raises(httpx.ConnectError):
            httpx.get(container.url.replace("127.0.0.1", "127.0.0.2"))  # who listens on every address is there too


def test_all_of_them_stop_cleanly_and_nothing_is_left(compose: Compose, containers: list[Container]) -> None:
    compose.run("stop")
    for container in containers:
        assert container.state()["ExitCode"] == 0, container.logs()
    compose.run("down")
    assert compose.run("ps", "--all", "--quiet").stdout == ""
