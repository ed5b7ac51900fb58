"""The registry over HTTP: any version's card and documents, and aliases that an admin key moves."""

import hashlib
from pathlib import Path

import pytest
from bundles import Publish, write_bundle
from problems import assert_problem
from servers import Serve
from starlette.testclient import TestClient

from boatyard import registry
from boatyard.api.settings import Settings
from boatyard.config.errors import UserError
from boatyard.storage import Storage

pytestmark = pytest.mark.integration

UNKNOWN = "20260102T030405Z-0a1b2c3d"
ADMIN = {"X-API-Key": "an-admin-key-that-nobody-guesses"}
ENTRY = f"ana:{hashlib.sha256(ADMIN['X-API-Key'].encode()).hexdigest()}"
CLIENT = f"ben:{hashlib.sha256(b'a-client').hexdigest()}"
PRODUCTION = "/models/ferry/aliases/production"


@pytest.fixture
def admin(promoted: str, serve: Serve) -> TestClient:  # noqa: ARG001 - published first
    return serve(admin_keys=(ENTRY,))


def test_any_version_has_its_card(client: TestClient, publish: Publish, promoted: str) -> None:
    other = publish(bias=(0, 0, 50), metrics={"served": [{"name": "accuracy", "value": 0.5}]}).version
    assert client.get(f"/models/ferry/{promoted}").json() == client.get("/model").json()
    (score,) = client.get(f"/models/ferry/{other}").json()["metrics"]["served"]
    assert (score["name"], score["value"]) == ("accuracy", 0.5)
    assert_problem(client.get(f"/models/ferry/{UNKNOWN}"), 404, f"{promoted}|{other}")  # whichever is more like it
    assert_problem(client.get("/models/ferry/newest"), 422)


def test_what_people_read_of_a_bundle_is_served_and_nothing_else_of_it(
    client: TestClient, storage: Storage, tmp_path: Path
) -> None:
    sealed = tmp_path / "with-documents"
    sealed.mkdir()
    (sealed / "MODEL_CARD.md").write_text("# A card\n")
    for picture in ("residuals.png", ".hidden.png"):
        (sealed / picture).write_bytes(b"\x89PNG")
    (sealed / "metrics.json").write_text("{}\n")
    write_bundle(sealed, bias=(1, 0, 0))
    version = registry.publish(storage, sealed).version
    files = f"/models/ferry/{version}/files"
    card = client.get(f"{files}/MODEL_CARD.md")
    assert (card.text, card.headers["content-type"]) == ("# A card\n", "text/markdown; charset=utf-8")
    assert card.headers["x-content-type-options"] == "nosniff"
    assert client.get(f"{files}/residuals.png").headers["content-type"] == "image/png"
    assert client.get(f"{files}/metrics.json").json() == {}
    for absent in ("data.json", "confusion.png"):
        assert_problem(client.get(f"{files}/{absent}"), 404, f"published without {absent}")
    storage.write("models/ferry/beside.png", b"\x89PNG")
    for other in ("model.onnx", "bundle.json", "..%2Fbundle.json", "..%2Fbeside.png", ".hidden.png", "..png"):
        assert client.get(f"{files}/{other}").status_code in {404, 422}


def test_a_document_that_was_changed_is_not_served(client: TestClient, storage: Storage, tmp_path: Path) -> None:
    sealed = tmp_path / "with-a-card"
    sealed.mkdir()
    (sealed / "MODEL_CARD.md").write_text("# A card\n")
    write_bundle(sealed)
    version = registry.publish(storage, sealed).version
    storage.write(f"models/ferry/{version}/MODEL_CARD.md", b"# Another\n")
    assert_problem(client.get(f"/models/ferry/{version}/files/MODEL_CARD.md"), 503, "changed")


def test_an_admin_key_promotes_and_rolls_back(
    admin: TestClient, publish: Publish, storage: Storage, promoted: str
) -> None:
    other = publish(bias=(0, 0, 50)).version
    moved = admin.post(PRODUCTION, json={"version": other}, headers=ADMIN).json()
    assert (moved["version"], [move["action"] for move in moved["history"]]) == (other, ["promote"] * 2)
    assert registry.aliases(storage, "ferry") == {"production": other}
    assert admin.post(f"{PRODUCTION}/rollback", headers=ADMIN).json()["version"] == promoted
    assert_problem(admin.post(f"{PRODUCTION}/rollback", headers=ADMIN), 409, "nothing to go back to")
    staged = admin.post("/models/ferry/aliases/staging", json={"version": other}, headers=ADMIN)
    assert staged.json()["version"] == other


def test_a_move_that_was_decided_on_another_version_is_refused(
    admin: TestClient, publish: Publish, storage: Storage, promoted: str
) -> None:
    other = publish(bias=(0, 0, 50)).version
    fresh = "/models/ferry/aliases/staging"
    refused = [
        (PRODUCTION, {"version": other, "expected": other}),
        (PRODUCTION, {"version": other, "expected": None}),
        (fresh, {"version": other, "expected": promoted}),
        (f"{PRODUCTION}/rollback?expected={other}", None),
    ]
    for path, body in refused:
        assert_problem(admin.post(path, json=body, headers=ADMIN), 409, "look again")
    assert registry.aliases(storage, "ferry") == {"production": promoted}
    assert admin.post(fresh, json={"version": other, "expected": None}, headers=ADMIN).is_success
    assert admin.post(PRODUCTION, json={"version": other, "expected": promoted}, headers=ADMIN).is_success
    back = f"{PRODUCTION}/rollback?expected={other}"
    assert admin.post(back, headers=ADMIN).json()["version"] == promoted
    assert_problem(admin.post(back, headers=ADMIN), 409, "look again")


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (PRODUCTION, {"version": UNKNOWN}, 404, "has no version"),
        ("/models/outbox/aliases/production", {"version": UNKNOWN}, 404, "there is no model 'outbox'"),
        ("/models/outbox/aliases/production/rollback", None, 404, "there is no model 'outbox'"),
        (PRODUCTION, {"version": "newest"}, 422, ""),
        (PRODUCTION, {"version": UNKNOWN, "force": True}, 422, '"version" and "expected", and nothing else'),
        ("/models/ferry/aliases/Up", {"version": UNKNOWN}, 422, "alias"),
    ],
)
def test_a_move_that_cannot_be_is_a_problem(
    admin: TestClient, path: str, body: dict[str, object] | None, status: int, said: str
) -> None:
    assert_problem(admin.post(path, json=body, headers=ADMIN), status, said)


def test_what_this_server_could_not_answer_with_is_not_promoted(
    admin: TestClient, publish: Publish, storage: Storage, promoted: str
) -> None:
    mute = publish(bias=(0, 0, 50), examples=[{"text": "x" * 201}]).version
    assert_problem(admin.post(PRODUCTION, json={"version": mute}, headers=ADMIN), 503, "its own example")
    assert registry.aliases(storage, "ferry") == {"production": promoted}


@pytest.mark.usefixtures("promoted")
def test_only_an_admin_key_moves_an_alias(serve: Serve, storage: Storage, promoted: str) -> None:
    moves = [(PRODUCTION, {"version": promoted}), (f"{PRODUCTION}/rollback", None)]
    without = serve(api_keys=(CLIENT,))
    client = serve(api_keys=(CLIENT,), admin_keys=(ENTRY,))
    for path, body in moves:
        assert_problem(without.post(path, json=body, headers=ADMIN), 403, "BOATYARD_ADMIN_KEYS")
        assert_problem(client.post(path, json=body), 401)
        assert_problem(client.post(path, json=body, headers={"X-API-Key": "a-client"}), 403)
    assert registry.aliases(storage, "ferry") == {"production": promoted}


def test_admin_keys_are_read_as_the_others_are(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{ENTRY}\n")
    given = {"BOATYARD_ADMIN_KEYS_FILE": str(file), "BOATYARD_SPOOL": str(tmp_path)}
    assert Settings.from_environment(given).admin_keys == (ENTRY,)
    with pytest.raises(UserError, match="BOATYARD_ADMIN_KEYS: entry 1"):
        Settings.from_environment({"BOATYARD_ADMIN_KEYS": "ana", "BOATYARD_SPOOL": str(tmp_path)})
