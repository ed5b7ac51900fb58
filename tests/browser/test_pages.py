"""The web page in a real browser, before a real api and a real monitor."""

import gzip
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from bundles import publish_in_production, write_regression_bundle
from frontends import ADMIN_KEY, HOSTILE_EXAMPLE, HOSTILE_LABEL, FrontendProcess, Stack
from processes import free_port
from references import messages
from servers import ServerProcess

from boatyard import registry
from boatyard.inputs.text.serving import request_schema
from boatyard.storage import open_storage

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Visit = Callable[..., Page]

pytestmark = pytest.mark.browser

PAGES = {"": "Ask ferry", "models": "Models", "drift": "Drift", "traffic": "Traffic", "about": "About"}


@pytest.fixture
def expect() -> Any:
    from playwright.sync_api import expect

    return expect


def ask(page: "Page", text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Predict").click()


def choose(page: "Page", name: str, option: str) -> None:
    box = page.get_by_role("combobox", name=name, exact=True)
    box.click()
    box.press("ArrowDown")
    page.get_by_role("option", name=option).click()


def download(page: "Page", name: str, expect: Any) -> str:
    """What the button of this name gives; Streamlit forgets a click made while its script still runs."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    with page.expect_download() as downloading:
        page.get_by_role("button", name=name).click()
    return downloading.value.path().read_text()


def journal(root: Path) -> Iterator[dict[str, Any]]:
    """What the storage holds and what is not shipped yet."""
    for file in root.rglob("*.jsonl*"):
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for line in content.splitlines():
            if "event" in (read := json.loads(line)):  # else it is a job's answer
                yield read


# ---- predict


def test_a_message_is_answered_and_the_right_label_told_is_in_the_journal(
    visit: "Visit", stack: Stack, expect: Any
) -> None:
    page = visit(stack.page.url)
    ask(page, "my card was stolen yesterday")
    expect(page.get_by_role("heading", name="card_lost")).to_be_visible()
    expect(page.get_by_text("whole", exact=True)).to_be_visible()
    page.get_by_role("button", name="No").click()
    choose(page, "What would be right?", HOSTILE_LABEL)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text(f"It is kept that {HOSTILE_LABEL} is right.")).to_be_visible()
    lines = list(journal(stack.root))
    asked = [line["id"] for line in lines if line.get("request") == {"text": "my card was stolen yesterday"}]
    truths = [line["truth"] for line in lines if line["event"] == "feedback" and line["id"] in asked]
    assert truths == [{"label": HOSTILE_LABEL}]


def test_words_that_moved_the_answer_are_tinted_where_that_is_ticked(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(stack.page.url)
    page.get_by_text("Explain", exact=True).click()
    ask(page, "<b> card")
    expect(page.get_by_text("What moved the answer")).to_be_visible()
    words = page.locator("mark")
    expect(words).to_have_text(["<b>", "card"])
    tints = [word.evaluate("word => getComputedStyle(word).backgroundColor") for word in words.all()]
    assert tints[0] != tints[1]
    page.get_by_role("button", name="my card was stolen").click()
    expect(words).to_have_text(["my", "card", "was", "stolen"])


def test_an_example_is_asked_by_a_click_and_agreed_with_by_another(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(stack.page.url)
    page.get_by_role("button", name="my card was stolen").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value("my card was stolen")
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("It is kept that card_lost is right.")).to_be_visible()


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> card",
        "**card** :red[fee] $x^2$ [here](javascript:hacked()) :material/home: `x` card",
        "\u202eשלום, הכרטיס אבד\u202c card",  # noqa: RUF001
    ],
    ids=["html", "markdown", "right to left"],
)
def test_hostile_text_is_shown_as_the_text_that_it_is(visit: "Visit", stack: Stack, expect: Any, text: str) -> None:
    page = visit(stack.page.url)
    ask(page, text)
    expect(page.get_by_role("heading", name="card_lost")).to_be_visible()
    assert text in [shown.text_content() for shown in page.get_by_test_id("stText").all()]
    assert page.evaluate("window.hacked") is None


def test_fifty_kilobytes_are_answered_as_cut_and_not_shown_whole(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(stack.page.url)
    ask(page, "card " * 10_000)
    expect(page.get_by_text("(50,000 characters)")).to_be_visible()
    expect(page.get_by_text("in part", exact=True)).to_be_visible()
    expect(page.get_by_text("the model reads 8 tokens")).to_be_visible()


def test_what_the_api_refuses_is_said_in_its_words(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(stack.page.url)
    ask(page, "x" * 60_001)
    expect(page.get_by_text('"text" has 60001 characters and may have 60000')).to_be_visible()


def test_an_example_of_the_bundle_is_no_markup_either(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(stack.page.url)
    expect(page.get_by_role("button", name=HOSTILE_EXAMPLE[:19])).to_be_visible()
    assert page.get_by_test_id("stMain").locator("img").count() == 0


def test_a_label_is_the_text_that_it_is_wherever_it_is_shown(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(stack.page.url)
    ask(page, "what is the fee")
    expect(page.get_by_role("heading", name=HOSTILE_LABEL, exact=True)).to_be_visible()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text(f"It is kept that {HOSTILE_LABEL} is right.")).to_be_visible()
    assert (
        page.get_by_test_id("stMain").locator("p a, h3 a:not([href^='#']), img, [role=img][aria-label^=home]").count()
        == 0
    )
    page.goto(f"{stack.page.url}/models")
    # a card is Markdown, in which an address is a link
    expect(page.get_by_text(f"card_lost, transfer, {HOSTILE_LABEL}")).to_be_visible()
    page.get_by_role("tab", name="Mistakes").click()
    expect(page.get_by_role("row", name=f"1 of 33 {HOSTILE_LABEL} card_lost")).to_be_visible()


def test_versions_are_shown_side_by_side_with_their_cards(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(f"{stack.page.url}/models")
    choose(page, "Version", stack.versions[1])
    expect(page.get_by_text("The second card.")).to_be_visible()
    expect(page.get_by_text("<script>card</script>")).to_be_visible()
    expect(page.get_by_text("95% interval").first).to_be_visible()
    page.get_by_role("tab", name="Mistakes").click()
    expect(page.get_by_text("100 rows of the test split, as trained.")).to_be_visible()
    expect(page.get_by_role("row", name="10 of 34 card_lost transfer")).to_be_visible()
    expect(page.get_by_text("How often it is right, by how sure it is")).to_be_visible()
    expect(page.get_by_text("An admin key, typed under Keys")).to_be_visible()
    assert page.get_by_role("button", name="Promote").count() == 0


def test_an_admin_key_promotes_and_rolls_back_and_a_wrong_one_does_not(
    visit: "Visit", stack: Stack, expect: Any
) -> None:
    page = visit(f"{stack.page.url}/models")
    page.get_by_text("Keys", exact=True).first.click()
    field = page.get_by_role("textbox", name="Admin key")
    assert field.get_attribute("type") == "password"
    field.fill("guessed")
    field.press("Enter")
    choose(page, "To version", stack.versions[1])
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_text("the key in X-API-Key is not known")).to_be_visible()
    assert registry.aliases(stack.storage, "ferry") == {"production": stack.versions[0]}
    field.fill(ADMIN_KEY)
    field.press("Enter")
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_text(f"ferry@production is {stack.versions[1]}")).to_be_visible()
    assert registry.aliases(stack.storage, "ferry") == {"production": stack.versions[1]}
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text(f"ferry@production is {stack.versions[0]}")).to_be_visible()
    assert registry.aliases(stack.storage, "ferry") == {"production": stack.versions[0]}
    logs = stack.page.log.read_text() + (stack.root / "api.log").read_text()
    assert ADMIN_KEY not in logs
    assert f"ana has promoted: ferry@production is {stack.versions[1]}" in logs


# ---- drift, traffic, about


def test_drift_is_looked_for_until_the_alarm_rings_and_the_reports_before_stay(
    visit: "Visit", stack: Stack, expect: Any
) -> None:
    page = visit(f"{stack.page.url}/drift")
    run = page.get_by_role("button", name="Run now")
    expect(page.get_by_text("There is no report yet.")).to_be_visible()
    run.click()
    expect(page.get_by_text("There is too little traffic to compare.")).to_be_visible(timeout=90_000)
    stack.ask(messages(250, seed=1))
    stack.ship()
    run.click()
    expect(page.get_by_text("All is well")).to_be_visible(timeout=90_000)
    report = httpx.get(f"{stack.monitor.url}/drift.json").json()
    assert not report["alarm"]
    for verdict in report["verdicts"]:
        expect(page.get_by_text(verdict["sentence"], exact=True)).to_be_visible()
    measured = [verdict for verdict in report["verdicts"] if verdict["value"] is not None]
    expect(page.get_by_text(f"0 of {len(measured)}", exact=True)).to_be_visible()
    stack.ask(["ПЕРЕВОД ГДЕ МОЙ", "WHERE IS MY STOLEN CARD?!"] * 100)
    stack.ship()
    run.click()
    expect(page.get_by_text("Alarm: the traffic differs from")).to_be_visible(timeout=90_000)
    report = httpx.get(f"{stack.monitor.url}/drift.json").json()
    drifted = [verdict for verdict in report["verdicts"] if verdict["drifted"]]
    assert len(drifted) > 1
    measured = [verdict for verdict in report["verdicts"] if verdict["value"] is not None]
    expect(page.get_by_text(f"{len(drifted)} of {len(measured)}", exact=True)).to_be_visible()
    for verdict in drifted:
        expect(page.get_by_text(verdict["sentence"], exact=True)).to_be_visible()
    reports = page.get_by_role("table").get_by_role("row")
    expect(reports).to_have_count(1 + 3)
    past = reports.all_text_contents()[1:]
    assert past[0].endswith(", ".join(verdict["name"] for verdict in drifted))
    assert past[1].endswith("nothing")
    assert past[2].endswith("nothing")
    assert "ferry: drift" in download(page, "Download the full report", expect)


def test_traffic_shows_what_the_server_counted_and_what_the_journal_tells(
    visit: "Visit", stack: Stack, expect: Any
) -> None:
    for number, answer in enumerate(stack.ask(messages(40, seed=2))):
        feedback = {"id": answer["id"], "label": "transfer" if number % 4 == 0 else answer["label"]}
        httpx.post(f"{stack.api.url}/feedback", json=feedback).raise_for_status()
    stack.ship()
    asking = visit(stack.page.url)
    ask(asking, "card")
    expect(asking.get_by_role("heading", name="card_lost")).to_be_visible()
    page = visit(f"{stack.page.url}/traffic")
    expect(page.get_by_text("How long /predict took")).to_be_visible()
    lines = list(journal(stack.root / "storage"))
    answers = {line["id"]: line["answer"]["label"] for line in lines if line["event"] == "prediction"}
    truths = {line["id"]: line["truth"]["label"] for line in lines if line["event"] == "feedback"}
    right = sum(answers[id_] == label for id_, label in truths.items())
    # one by this server, which started a moment ago
    for figure in ("Predictions1", f"Predictions{len(answers):,}", f"Live accuracy{right / len(truths):.4f}"):
        expect(page.get_by_test_id("stMetric").filter(has_text=re.compile(f"^{figure}$"))).to_be_visible()
    expect(page.get_by_text("Shares in each hour, by label")).to_be_visible()
    page.get_by_text("By route and status").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


def test_about_draws_the_architecture_and_tells_of_the_data(visit: "Visit", stack: Stack, expect: Any) -> None:
    page = visit(f"{stack.page.url}/about")
    expect(page.locator("svg text").get_by_text("journal", exact=True)).to_be_visible()
    expect(page.get_by_text("The largest label has 2.0 times the rows of the smallest.")).to_be_visible()
    expect(page.get_by_text("Rows of each label")).to_be_visible()


# ---- every page


def test_services_that_are_down_are_named_with_the_command_that_starts_them(
    visit: "Visit", tmp_path: Path, expect: Any
) -> None:
    api, monitor = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with FrontendProcess(tmp_path / "log", BOATYARD_API=api, BOATYARD_MONITOR=monitor) as alone:
        for path in PAGES:
            page = visit(f"{alone.url}/{path}")
            for name, url, task in (("api", api, "serve"), ("monitor", monitor, "monitor")):
                if (name == "monitor") == (path == "drift") or path == "traffic":
                    expect(page.get_by_text(f"The {name} does not answer at {url}.")).to_be_visible()
                    expect(page.get_by_text(f"uv run invoke {task}")).to_be_visible()


def test_a_page_that_waits_for_its_api_goes_on_when_it_is_there(visit: "Visit", tmp_path: Path, expect: Any) -> None:
    publish_in_production(tmp_path)
    api = ServerProcess(tmp_path / "storage", tmp_path / "api.log")
    with FrontendProcess(tmp_path / "log", BOATYARD_API=api.url) as frontend:
        page = visit(frontend.url)
        expect(page.get_by_text("The api does not answer")).to_be_visible()
        with api:
            page.get_by_role("button", name="Try again").click()
            expect(page.get_by_role("heading", name="Ask ferry")).to_be_visible()


def test_a_model_of_titles_and_texts_is_asked_for_both(visit: "Visit", tmp_path: Path, expect: Any) -> None:
    publish_in_production(
        tmp_path,
        request_schema=request_schema(["title", "text"], max_characters=200),
        examples=[{"title": "my card", "text": "was stolen"}],
    )
    with (
        ServerProcess(tmp_path / "storage", tmp_path / "api.log") as api,
        FrontendProcess(tmp_path / "log", BOATYARD_API=api.url) as frontend,
    ):
        page = visit(frontend.url)
        page.get_by_role("button", name="my card / was stolen").click()
        expect(page.get_by_label("Title", exact=True)).to_have_value("my card")
        expect(page.get_by_role("heading", name="card_lost")).to_be_visible()
        page.get_by_label("Title", exact=True).fill("a transfer")
        ask(page, "what is the iban")
        expect(page.get_by_role("heading", name="transfer")).to_be_visible()


def test_a_number_is_answered_in_its_interval_and_corrected_by_the_right_one(
    visit: "Visit", tmp_path: Path, expect: Any
) -> None:
    storage = open_storage(str(tmp_path / "storage"))
    write_regression_bundle(tmp_path / "sealed")
    registry.promote(storage, "prices", registry.publish(storage, tmp_path / "sealed").version)
    with (
        ServerProcess(tmp_path / "storage", tmp_path / "api.log", BOATYARD_MODEL="prices") as api,
        FrontendProcess(tmp_path / "log", BOATYARD_API=api.url) as frontend,
    ):
        page = visit(frontend.url)
        ask(page, "fee iban")
        expect(page.get_by_role("heading", name="27.5 EUR")).to_be_visible()
        expect(page.get_by_text("25 to 30")).to_be_visible()
        page.get_by_role("spinbutton", name="What would be right, in EUR?").fill("26.125")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("It is kept that 26.125 EUR is right.")).to_be_visible()
    truths = [line["truth"] for line in journal(tmp_path) if line["event"] == "feedback"]
    assert truths == [{"value": 26.125}]


def test_an_api_with_keys_is_asked_with_the_one_that_was_typed(visit: "Visit", tmp_path: Path, expect: Any) -> None:
    publish_in_production(tmp_path)
    entry = f"ben:{hashlib.sha256(b'a-key-of-bens').hexdigest()}"
    with (
        ServerProcess(tmp_path / "storage", tmp_path / "api.log", BOATYARD_API_KEYS=entry) as api,
        FrontendProcess(tmp_path / "log", BOATYARD_API=api.url) as frontend,
    ):
        page = visit(frontend.url)
        expect(page.get_by_text("the request needs a key")).to_be_visible()
        page.get_by_text("Keys", exact=True).first.click()
        page.get_by_role("textbox", name="API key").fill("a-key-of-bens")
        page.get_by_role("textbox", name="API key").press("Enter")
        expect(page.get_by_role("heading", name="Ask ferry")).to_be_visible()
        other = visit(frontend.url)
        expect(other.get_by_text("the request needs a key")).to_be_visible()
        assert "a-key-of-bens" not in page.url + (tmp_path / "log").read_text()


def test_a_tab_that_nobody_uses_lets_go_of_the_server_and_goes_on_where_it_was(
    visit: "Visit", stack: Stack, tmp_path: Path, expect: Any
) -> None:
    there = {"BOATYARD_API": stack.api.url, "BOATYARD_MONITOR": stack.monitor.url, "BOATYARD_IDLE_MINUTES": "0.05"}
    with FrontendProcess(tmp_path / "log", **there) as frontend:
        server = psutil.Process(frontend.process.pid)

        def connected() -> bool:
            tcp = server.net_connections("tcp")
            return any(one.status == "ESTABLISHED" and f"{one.laddr.port}" in frontend.url for one in tcp)

        page = visit(f"{frontend.url}/about")
        assert connected()
        expect(page.get_by_text("so it has let go of its server")).to_be_visible()
        limit = time.monotonic() + 20
        while connected():
            assert time.monotonic() < limit
            time.sleep(0.1)
        page.get_by_role("link", name="Go on").click()
        expect(page.get_by_role("heading", name="About", exact=True).first).to_be_visible()
        assert page.url == f"{frontend.url}/about"


def test_every_page_fits_a_phone_in_the_dark_and_asks_nobody_but_its_server(
    visit: "Visit", stack: Stack, expect: Any
) -> None:
    asked: list[str] = []
    page = visit("about:blank", viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.on("request", lambda request: asked.append(request.url))
    for path, title in PAGES.items():
        page.goto(f"{stack.page.url}/{path}")
        expect(page.get_by_role("heading", name=title, exact=True).first).to_be_visible()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
        background = page.get_by_test_id("stApp").evaluate("element => getComputedStyle(element).backgroundColor")
        assert background == "rgb(16, 24, 26)"
    assert asked
    assert {url for url in asked if not url.startswith((stack.page.url, "data:", "blob:"))} == set()


def test_a_file_becomes_a_job_and_its_answers_are_downloaded(visit: "Visit", stack: Stack, expect: Any) -> None:
    """Last: its rows are traffic, too, and would be most of what is looked at for drift."""
    rows = ["text", *("my card was stolen" for _ in range(2_000)), '""']
    page = visit(stack.page.url)
    page.get_by_role("tab", name="A file").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "rows.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
    )
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("2,001 rows answered, 1 of them bad")).to_be_visible()
    answers = [json.loads(line) for line in download(page, "Download as JSON Lines", expect).splitlines()]
    assert [answer["row"] for answer in answers] == list(range(1, 2_002))
    assert {answer.get("label") for answer in answers[:-1]} == {"card_lost"}
    assert "error" in answers[-1]
    page.reload()
    page.get_by_role("tab", name="A file").click()
    expect(page.get_by_text("2,001 rows answered, 1 of them bad")).to_be_visible()
    assert download(page, "Download as CSV", expect).startswith("row,id,label,score,top,truncated,error\n1,")


# ---- models
