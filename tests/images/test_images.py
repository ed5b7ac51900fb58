"""The images, built and run for real."""

import hashlib
import json
import re
import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from bundles import publish_in_production, write_bundle
from conftest import Serve
from containers import HARDENED, Docker
from references import publish_watchable

from boatyard import journal, registry
from boatyard.storage import open_storage
from boatyard.train.tracking import git_commit

pytestmark = pytest.mark.images

ROOT = Path(__file__).parents[2]
MOST_MB = {"api": 245, "frontend": 460, "monitor": 900, "trainer": 8000}  # over their base
NAMES = sorted(MOST_MB)


def test_the_api_image_serves_a_model_from_a_bucket_and_stops_cleanly(
    serve: Serve,
    client: httpx.Client,
    bucket: tuple[str, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, there = bucket
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", there["STORAGE_EMULATOR_HOST"])
    storage = open_storage(root)
    write_bundle(tmp_path / "sealed")
    published = registry.publish(storage, tmp_path / "sealed").version
    registry.promote(storage, "ferry", published, "staging")

    container = serve(BOATYARD_MODEL=f"{root}/models/ferry@staging", **there)
    container.wait_until_healthy()
    assert client.get(f"{container.url}/readyz").json()["version"] == published
    answer = client.post(f"{container.url}/predict", json={"text": "my card was stolen"}).json()
    assert (answer["label"], answer["version"]) == ("card_lost", published)

    assert container.shell("id -u") == "10001"
    container.shell("touch /opt/boatyard/x", status=1)
    assert container.stop() == (0, False), container.logs()
    assert "Finished server process" in container.logs()
    assert [line["id"] for line in journal.read(storage)] == [answer["id"]]


def test_the_api_image_serves_a_folder_to_who_has_a_key(serve: Serve, client: httpx.Client, tmp_path: Path) -> None:
    publish_in_production(tmp_path)
    subprocess.run(["chmod", "-R", "a+rwX", tmp_path], check=True)  # another user's, inside
    container = serve(
        f"--volume={tmp_path}/storage:/storage",
        BOATYARD_STORAGE="/storage",
        BOATYARD_MODEL="ferry",
        BOATYARD_API_KEYS=f"ana:{hashlib.sha256(b'k').hexdigest()}",
    )
    container.wait_until_healthy()
    url = f"{container.url}/predict"
    assert client.post(url, json={"text": "a fee"}).status_code == 401
    assert client.post(url, json={"text": "a fee"}, headers={"x-api-key": "k"}).json()["label"] == "fees"


def test_a_wrong_setting_ends_the_api_image_with_a_sentence(images: Docker) -> None:
    refused = images.run("run", "--rm", *HARDENED, "--env=BOATYARD_MODEL=In Box", "boatyard-api", status=2)
    assert refused.stderr.startswith("boatyard.api: BOATYARD_MODEL: ")
    assert len(refused.stderr.splitlines()) == 1


def test_the_monitor_image_tells_of_the_traffic_and_makes_a_report(
    serve: Serve,
    client: httpx.Client,
    bucket: tuple[str, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, there = f"{bucket[0]}/watched", bucket[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", there["STORAGE_EMULATOR_HOST"])
    texts = ["my card was stolen", "send a transfer", "the fee"] * 50
    publish_watchable(open_storage(root), tmp_path, texts)
    api = serve(BOATYARD_STORAGE=root, BOATYARD_MODEL="ferry", **there)
    api.wait_until_healthy()
    client.post(f"{api.url}/predict", json={"inputs": [{"text": text} for text in texts[:120]]}).raise_for_status()
    api.stop()

    container = serve(image="boatyard-monitor", BOATYARD_STORAGE=root, BOATYARD_MODEL="ferry", **there)
    container.wait_until_healthy()
    assert client.get(f"{container.url}/readyz").json()["model"] == "ferry"
    assert client.get(f"{container.url}/statistics").json()["rows"] == 120
    told = client.post(f"{container.url}/drift/run").json()
    assert (told["window"]["rows"], told["alarm"]) == (120, False)
    assert "ferry: no drift" in client.get(f"{container.url}/drift").text
    assert container.stop() == (0, False), container.logs()


def test_the_frontend_image_serves_the_page_and_calls_nobody(serve: Serve, client: httpx.Client) -> None:
    container = serve(image="boatyard-frontend", BOATYARD_API="http://127.0.0.1:9", BOATYARD_MONITOR="http://[::1]:9")
    container.wait_until_healthy()
    page = client.get(container.url)
    assert page.headers["content-type"].startswith("text/html")
    script = re.search(r'src="\.?(/static/[^"]+\.js)"', page.text)
    assert script is not None
    assert client.get(container.url + script[1]).status_code == 200
    container.shell("python -c 'import onnxruntime'", status=1)
    assert container.stop() == (0, False), container.logs()
    assert "usage statistics" not in container.logs(), "its settings were not found"
    assert "external IP" not in container.logs()


@pytest.mark.parametrize("name", ["monitor", "frontend"])
def test_a_wrong_port_ends_a_service_with_a_sentence(images: Docker, name: str) -> None:
    refused = images.run("run", "--rm", *HARDENED, "--env=PORT=http", f"boatyard-{name}", status=2)
    assert refused.stderr.startswith(f"boatyard.{name}: PORT: ")
    assert len(refused.stderr.splitlines()) == 1


def test_what_the_trainer_image_publishes_the_api_image_serves(
    images: Docker, serve: Serve, client: httpx.Client, bucket: tuple[str, dict[str, str]]
) -> None:
    root, there = bucket[0] + "/trained", bucket[1]
    given = [f"--env={name}={value}" for name, value in {"BOATYARD_STORAGE": root, **there}.items()]
    hardened = [*HARDENED, "--memory=4g", *given]
    trained = images.run("run", "--rm", *hardened, "boatyard-trainer", "data=inbox", "train.num_train_epochs=1")
    assert "inbox@production" in trained.stdout

    container = serve(BOATYARD_MODEL=f"{root}/models/inbox@production", **there)
    container.wait_until_healthy()
    card = client.get(f"{container.url}/model").json()
    assert card["git_commit"] == git_commit()
    assert (
        client.post(f"{container.url}/predict", json={"text": "my card was stolen"}).json()["version"]
        == card["version"]
    )


def test_wrong_input_ends_the_trainer_image_with_a_sentence(images: Docker) -> None:
    refused = images.run("run", "--rm", *HARDENED, "boatyard-trainer", "data=inbux", status=2)
    assert "did you mean inbox?" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_images_say_what_they_are_and_run_as_nobody_in_particular(images: Docker) -> None:
    for name in NAMES:
        config = images.inspect(f"boatyard-{name}:latest")["Config"]
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
        assert labels["title"] == f"boatyard-{name}"
        assert labels["revision"] == git_commit()
        assert labels["version"] == version("boatyard")
        assert config["User"] == "10001:10001"
        assert not [variable for variable in config["Env"] if "KEY" in variable or "TOKEN" in variable]


def test_the_images_are_as_small_as_promised(images: Docker) -> None:
    base = images.inspect(images.environment.get("BASE_IMAGE", "python:3.12-slim"))["Size"]
    added = {name: (images.inspect(f"boatyard-{name}")["Size"] - base) / 1e6 for name in NAMES}
    assert {name: size for name, size in added.items() if size > MOST_MB[name]} == {}


@pytest.mark.parametrize("name", NAMES)
def test_cloud_build_builds_and_runs_each_image(images: Docker, name: str) -> None:
    there = {**images.environment, "REGISTRY": "registry", "COMMIT": "tried"}
    command = ["sh", "deploy/cloudbuild/image.sh", name]
    done = subprocess.run(command, cwd=ROOT, env=there, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    labels = images.inspect(f"registry/{name}:tried")["Config"]["Labels"]
    images.run("rmi", f"registry/{name}:tried")
    assert labels["org.opencontainers.image.revision"] == "tried"
    assert labels["org.opencontainers.image.version"] == version("boatyard")


def test_only_what_is_named_reaches_an_image(docker: Docker, tmp_path: Path) -> None:
    settings = "src/boatyard/frontend/.streamlit"
    wanted = {
        f"{settings}/config.toml",
        "src/boatyard/new.py",
        "configs/data/new.yaml",
        "requirements/api.txt",
        "data/raw/inbox.csv",
        "data/raw/houses.csv",
    }
    unwanted = {
        ".env",
        ".git/config",
        f"{settings}/secrets.toml",
        "src/.env",
        "src/boatyard/__pycache__/new.pyc",
        "configs/.secret.yaml",
        "credentials.json",
        "data/raw/customers.csv",
        "models/inbox/bundle.json",
        "requirements/lock.py",
        "uv.lock",
    }
    context = tmp_path / "context"
    for file in wanted | unwanted:
        (context / file).parent.mkdir(parents=True, exist_ok=True)
        (context / file).touch()
    (context / ".dockerignore").write_bytes((ROOT / ".dockerignore").read_bytes())
    (tmp_path / "dockerfile").write_text('FROM scratch\nCOPY . /sent/\nCMD ["none"]\n')
    image = docker.run("build", "--quiet", f"--file={tmp_path}/dockerfile", str(context)).stdout.strip()
    container = docker.run("create", image).stdout.strip()
    docker.run("export", f"--output={tmp_path}/files.tar", container)
    docker.run("rm", container)
    docker.run("rmi", image)
    with tarfile.open(tmp_path / "files.tar") as files:
        sent = {file.name.removeprefix("sent/") for file in files if file.isfile() and file.name.startswith("sent/")}
    assert sent == wanted


def test_the_trainer_image_holds_the_samples_and_no_other_data(images: Docker) -> None:
    listed = images.run(
        "run", "--rm", "--network=host", "--entrypoint=python", "boatyard-trainer", "-c",
        "import json, os; print(json.dumps([sorted(os.listdir('/app')), sorted(os.listdir('/work/data/raw'))]))",
    ).stdout  # fmt: skip
    assert json.loads(listed) == [["encoders", "src"], ["articles.csv", "houses.csv", "inbox.csv"]]
