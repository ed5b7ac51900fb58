"""What feedback is learned from, and when a model is better by more than chance."""

import random
import tracemalloc
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from boatyard.config.errors import UserError
from boatyard.retrain.compare import Comparison, compare, refusal
from boatyard.retrain.labelled import Labelled, Row, labelled_rows

pytestmark = pytest.mark.unit


def outcomes(rows: int, right: float, seed: int) -> list[bool]:
    draw = random.Random(seed)
    return [draw.random() < right for _ in range(rows)]


def test_a_clear_gain_is_better_and_its_interval_holds_the_difference() -> None:
    one = compare("traffic", outcomes(500, 0.6, 1), outcomes(500, 0.8, 2))
    assert one.better
    assert not one.worse
    assert one.low < one.after - one.before < one.high


def test_the_same_answers_are_neither_better_nor_worse() -> None:
    same = outcomes(200, 0.7, 1)
    one = compare("traffic", same, same)
    assert (one.low, one.high, one.better, one.worse) == (0, 0, False, False)


def test_models_that_are_equally_good_are_called_better_about_as_often_as_the_confidence_allows() -> None:
    called = [compare("t", outcomes(300, 0.7, 2 * n), outcomes(300, 0.7, 2 * n + 1)).better for n in range(200)]
    assert sum(called) <= 13, "2.5 % are expected: 5 of 200; 14 would come once in a thousand"


def test_more_rows_make_the_interval_narrower() -> None:
    few, many = (compare("t", outcomes(n, 0.6, 1), outcomes(n, 0.7, 2)) for n in (100, 10_000))
    assert many.high - many.low < (few.high - few.low) / 5


def test_answers_to_different_rows_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="the same rows"):
        compare("t", [True], [True, False])


def interval(name: str, low: float, high: float) -> Comparison:
    return Comparison(name, 100, 0.5, 0.5 + (low + high) / 2, low, high)


BETTER, SAME, WORSE = (0.01, 0.1), (-0.05, 0.05), (-0.1, -0.01)


@pytest.mark.parametrize(
    ("traffic", "test", "told"),
    [
        (BETTER, SAME, None),
        (SAME, BETTER, None),
        (BETTER, WORSE, "on the test split it is less often right"),
        (WORSE, BETTER, "on recent traffic it is less often right"),
        (SAME, SAME, "on recent traffic and on the test split it is not more often right"),
    ],
)
def test_promoted_is_what_is_better_somewhere_and_worse_nowhere(
    traffic: tuple[float, float], test: tuple[float, float], told: str | None
) -> None:
    why = refusal([interval("recent traffic", *traffic), interval("the test split", *test)])
    assert (why or "").startswith(told or "")
    assert (why is None) == (told is None)


def asked(id_: str, text: str, model: str = "inbox") -> dict[str, Any]:
    return {"event": "prediction", "id": id_, "model": model, "input": {"text": text}}


def told(id_: str, label: str, second: int = 0) -> dict[str, Any]:
    return {"event": "feedback", "id": id_, "label": label, "time": f"2026-01-01T00:00:{second:02}.000+00:00"}


def parse(payload: object) -> Row:
    if not isinstance(payload, dict) or "text" not in payload:
        raise UserError("no text")
    return (payload["text"],)


def read(*lines: dict[str, Any], holdout: float = 0.5, **known: list[tuple[Row, str]]) -> Labelled:
    return labelled_rows(
        lambda: lines,
        "inbox",
        parse=parse,
        words=lambda row: row[0].lower().split(),
        labels=["card", "fees"],
        known={"train": [], "validation": [], "test": [], **known},
        holdout=holdout,
    )


def taken(labelled: Labelled) -> list[tuple[str, str]]:
    return sorted((row[0], label) for row, label in labelled.train + labelled.held_out)


def test_feedback_finds_its_question_whichever_came_first_in_the_journal() -> None:
    assert taken(read(told("1", "card"), asked("1", "lost it"))) == [("lost it", "card")]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_of_several_labels_for_one_answer_the_latest_counts_wherever_it_is_read(order: tuple[int, ...]) -> None:
    lines = [asked("1", "lost it"), told("1", "fees", 1), told("1", "card", 30), told("1", "fees", 2)]
    assert taken(read(*(lines[place] for place in order))) == [("lost it", "card")]


def test_of_two_labels_of_one_moment_the_same_counts_in_either_order() -> None:
    lines = [told("1", "card"), told("1", "fees")]
    first, second = (taken(read(asked("1", "lost it"), *each)) for each in (lines, lines[::-1]))
    assert first == second == [("lost it", "fees")]


@pytest.mark.parametrize("written", [" card", "card\u200b"])
def test_a_label_counts_in_its_normal_form_as_the_monitor_counts_it(written: str) -> None:
    assert taken(read(asked("1", "lost it"), told("1", written))) == [("lost it", "card")]


def test_of_the_journal_only_what_was_judged_is_held() -> None:
    """A journal many times as large as what it may take."""

    def lines() -> Iterator[dict[str, Any]]:
        for number in range(20_000):
            yield asked(str(number), f"{number} " + "x" * 1000)
            if number % 1000 == 0:
                yield told(str(number), "card")

    tracemalloc.start()
    labelled = labelled_rows(
        lines,
        "inbox",
        parse=parse,
        words=lambda row: row[0].split(),
        labels=["card"],
        known={"train": [], "validation": [], "test": []},
        holdout=0.5,
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(labelled.train) + len(labelled.held_out) == 20
    assert peak < 1_000_000, "the predictions have 20 MB"


def test_a_row_that_training_would_stop_at_is_set_aside() -> None:
    labelled = read(asked("1", ""), told("1", "card"), asked("2", "lost it"), told("2", "card"))
    assert taken(labelled) == [("lost it", "card")]
    assert dict(labelled.set_aside) == {"whose input training does not take": 1}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([asked("1", "hi", "other"), told("1", "card")], "another model"),
        ([told("1", "card"), asked("2", "hi")], "another model"),
        ([asked("1", "hi"), told("1", "weather")], "does not know"),
        ([asked("1", "hi") | {"input": 7}, told("1", "card")], "no longer takes"),
        ([asked("1", "hi"), asked("2", "HI"), told("1", "card"), told("2", "fees")], "several labels"),
    ],
)
def test_what_cannot_be_learned_from_is_counted_with_the_reason(lines: list[dict[str, Any]], why: str) -> None:
    labelled = read(*lines)
    assert taken(labelled) == []
    assert [why in reason for reason in labelled.set_aside][-1]


def test_what_says_the_same_counts_once() -> None:
    assert taken(read(asked("1", "hi"), asked("2", "Hi"), told("1", "card"), told("2", "card"))) == [("Hi", "card")]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_rows_of_the_data_set_are_not_taken_again(split: str) -> None:
    labelled = read(asked("1", "HI there"), told("1", "card"), **{split: [(("hi there",), "fees")]})
    assert taken(labelled) == []
    assert dict(labelled.set_aside) == {f"in the {split} split already": 1}


def test_a_row_is_held_out_whatever_else_is_labelled() -> None:
    lines = [line for n in range(200) for line in (asked(str(n), f"row {n}"), told(str(n), "card"))]
    few, many = read(*lines[:100], holdout=0.3), read(*lines, holdout=0.3)
    assert set(few.held_out) <= set(many.held_out)
    assert set(few.train) <= set(many.train)
    assert 0.2 < len(many.held_out) / 200 < 0.4


def test_a_journal_without_inputs_says_how_to_keep_them() -> None:
    line = {"event": "prediction", "id": "1", "model": "inbox", "input_sha256": "00"}
    with pytest.raises(UserError, match="BOATYARD_JOURNAL_INPUT=stored"):
        read(line, told("1", "card"))
