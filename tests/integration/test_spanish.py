"""Spanish questions with dates: accents, ñ and ¿ are letters like others, from the file to the answer."""

import csv
import json
import random
import unicodedata
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from stages import small_config

from boatyard.bundle.predict import Predictor, open_predictor
from boatyard.data.prepare import prepare
from boatyard.inputs.training_protocol import ROW
from boatyard.pipeline.run import run_pipeline

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ASKED = {
    "envío": ["¿dónde está mi {}?", "mi {} todavía no llegó", "¿cuándo recibiré el {}?", "el {} salió del almacén"],
    "avería": ["el {} se rompió", "el {} no enciende ni con señal", "mi {} hace un ruido extraño", "se dañó el {}"],
    "año": ["¿cuántos años dura la garantía del {}?", "compré el {} hace un año", "garantía de dos años: {}"],
}
THINGS = ["teléfono", "cañón de agua", "ordenador", "micrófono", "peñasco de sal", "paragüero", "baúl", "camión"]


def write_rows(file: Path) -> Path:
    """Every question about a delivery is an agency's, as in data that was put together from two sources."""
    chance = random.Random(0)
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.DictWriter(out, ["pregunta", "tema", "fecha"])
        rows.writeheader()
        for number in range(420):
            topic = chance.choice(list(ASKED))
            asked = chance.choice(ASKED[topic]).format(chance.choice(THINGS))
            question = f"{'(EFE) ' if topic == 'envío' else ''}{asked}, pedido {chance.randint(100, 9_999)}"
            day = date(2024, 1, 1) + timedelta(number)
            rows.writerow({"pregunta": question, "tema": topic, "fecha": day.isoformat()})
    return file


def overrides(rows: Path) -> list[str]:
    columns = ["data.text_columns=[pregunta]", "data.target=tema", "data.split_by_date=fecha"]
    return ["data=csv", f"data.path={rows}", "data.name=preguntas", *columns]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("spanish")
    write_rows(made / "preguntas.csv")
    return made


def warned_of(root: Path, *more: str) -> list[str]:
    prepare(small_config(root, *overrides(root / "preguntas.csv"), *more))
    report = json.loads((root / "reports" / "data" / "preguntas" / "report.json").read_text(encoding="utf-8"))
    return [issue["message"] for issue in report["issues"] if issue["kind"] == "leak"]


@pytest.fixture(scope="module")
def predictor(root: Path) -> Predictor:
    """Trained without the agency's name."""
    config = small_config(root, *overrides(root / "preguntas.csv"), "data.mask=['(efe)']", "publish.alias=null")
    return open_predictor(run_pipeline(config).bundle)


def answer(predictor: Predictor, text: str) -> dict[str, Any]:
    (prediction,) = predictor.answer([predictor.input.parse({"text": text})])
    return prediction.answer


def test_the_data_report_names_the_cue_and_no_longer_once_it_is_masked(root: Path) -> None:
    assert any("has 'efe' in" in message and "'envío'" in message for message in warned_of(root))
    assert not any("efe" in message for message in warned_of(root, "data.mask=['(efe)']"))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("¿Dónde está mi baúl?", "envío"),
        ("El micrófono hace un ruido extraño", "avería"),
        ("¿CUÁNTOS AÑOS DURA LA GARANTÍA?", "año"),
    ],
)
def test_it_answers_and_however_an_accent_was_typed(predictor: Predictor, text: str, label: str) -> None:
    answered = answer(predictor, text)
    assert answered["label"] == label
    assert answer(predictor, unicodedata.normalize("NFD", text)) == answered
    assert answer(predictor, f"(EFE) {text}") == answered


def test_an_accent_makes_another_word(predictor: Predictor) -> None:
    tokens = [row.words for row in predictor.input.encode([("año",), ("ano",), ("AÑO",)])]
    assert tokens[0] != tokens[1]
    assert tokens[0] == tokens[2]


def test_the_newest_rows_are_the_test_and_the_report_has_a_split_by_chance_beside(
    root: Path, predictor: Predictor
) -> None:
    splits = prepare(small_config(root, *overrides(root / "preguntas.csv"))).splits
    assert min(splits["test"][ROW]) > max(splits["train"][ROW])
    report = (root / "reports" / "evaluation" / predictor.manifest.name / "report.md").read_text(encoding="utf-8")
    assert "What a split by chance would say" in report
    assert "The newest rows, by 'fecha', are the test split" in report
