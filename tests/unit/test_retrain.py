"""What feedback is learned from, and when a model is better by more than chance."""

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from bundles import VALUES

from boatyard.config.errors import UserError
from boatyard.inputs.training_protocol import Problem
from boatyard.journal import JournalError
from boatyard.retrain.compare import compare, refusal
from boatyard.retrain.feedback import Feedback, Reader, collect, splits_by_key
from boatyard.tasks.classification.serving import Classification
from boatyard.tasks.protocol import OpenTask
from boatyard.tasks.score import Comparison, Score

pytestmark = pytest.mark.unit

Row = tuple[str, ...]
LABELS = Classification(["card", "fees"])


def test_two_models_are_compared_by_their_losses_and_shown_by_their_scores() -> None:
    before, after = np.array([1.0, 1.0, 0.0, 1.0] * 50), np.array([0.0, 0.0, 0.0, 1.0] * 50)
    one = compare("traffic", LABELS, before, after)
    assert (one.rows, one.before.value, one.after.value) == (200, 0.25, 0.75)
    assert one.better
    assert not one.worse
    assert one.low < one.after.value - one.before.value < one.high
    errors = compare("traffic", VALUES, np.linspace(0, 10, 50), np.linspace(0, 5, 50))
    assert (errors.before.name, errors.before.value, errors.after.value) == ("mean_absolute_error", 5, 2.5)
    assert errors.better


def test_the_same_answers_are_neither_better_nor_worse() -> None:
    same = np.array([0.0, 1.0] * 100)
    one = compare("traffic", LABELS, same, same)
    assert (one.low, one.high, one.better, one.worse) == (0, 0, False, False)


def test_answers_to_different_rows_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="the same rows"):
        compare("t", LABELS, np.array([1.0]), np.array([1.0, 0.0]))


def interval(name: str, low: float, high: float) -> Comparison:
    before, after = (Score("accuracy", value) for value in (0.5, 0.5 + (low + high) / 2))
    return Comparison(name, 100, before, after, low, high)


BETTER, SAME, WORSE = (0.01, 0.1), (-0.05, 0.05), (-0.1, -0.01)


@pytest.mark.parametrize(
    ("traffic", "test", "why"),
    [
        (BETTER, SAME, None),
        (SAME, BETTER, None),
        (BETTER, WORSE, "on the test split it is worse"),
        (WORSE, BETTER, "on recent traffic it is worse"),
        (SAME, SAME, "on recent traffic and on the test split it is not better"),
    ],
)
def test_promoted_is_what_is_better_somewhere_and_worse_nowhere(
    traffic: tuple[float, float], test: tuple[float, float], why: str | None
) -> None:
    refused = refusal([interval("recent traffic", *traffic), interval("the test split", *test)])
    assert (refused or "").startswith(why or "")
    assert (refused is None) == (why is None)


def asked(id_: str, text: str, model: str = "ferry") -> dict[str, Any]:
    return {"event": "prediction", "id": id_, "model": model, "request": {"text": text}}


def judged(id_: str, label: Any, second: int = 0, key: str = "label") -> dict[str, Any]:
    return {"event": "feedback", "id": id_, "truth": {key: label}, "time": f"2026-01-01T00:00:{second:02}.000+00:00"}


class Texts:
    """As much of an input as reading feedback needs."""

    @staticmethod
    def parse(payload: object) -> Row:
        if not isinstance(payload, dict) or "text" not in payload:
            raise UserError("no text")
        return (payload["text"],)

    @staticmethod
    def request(fields: Sequence[str], row: Row) -> dict[str, str]:
        return dict(zip(fields, row, strict=True))

    @staticmethod
    def read(cells: Mapping[str, Any]) -> Row | Problem:
        return (cells["text"],) if cells["text"] else Problem("empty", "text", "is empty")

    @staticmethod
    def group_key(row: Row) -> bytes:
        return " ".join(row[0].lower().split()).encode()


TEXTS: Any = Texts


def reader(task: OpenTask = LABELS) -> Reader:
    return Reader(served=TEXTS, training=TEXTS, task=task, fields=["text"], read=Texts.read)


def read(
    *lines: dict[str, Any], holdout: float = 0.5, known: dict[int, str] | None = None, task: OpenTask = LABELS
) -> Feedback:
    return collect(lambda: lines, "ferry", reader(task), known or {}, holdout)


def taken(feedback: Feedback) -> list[tuple[str, str]]:
    return sorted((row[0], truth["label"]) for row, truth in feedback.train + feedback.held_out)


def test_feedback_that_does_not_say_what_is_right_is_set_aside() -> None:
    unsaid = replace(reader(), cell=lambda truth: None if truth["label"] == "fees" else truth)
    lines = [asked("1", "lost it"), judged("1", "card"), asked("2", "how much"), judged("2", "fees")]
    feedback = collect(lambda: lines, "ferry", unsaid, {}, 0.5)
    assert taken(feedback) == [("lost it", "card")]
    assert feedback.set_aside == {"with feedback that does not say what would be right": 1}


def test_a_truth_that_is_none_of_its_row_is_set_aside_and_stops_nothing() -> None:
    """As a box is that lies beside the picture: whoever answered knew it no longer."""
    where = replace(reader(), target=lambda row, cell: Problem("beside", None, "") if row == ("how much",) else cell)
    lines = [asked("1", "lost it"), judged("1", "card"), asked("2", "how much"), judged("2", "card")]
    feedback = collect(lambda: lines, "ferry", where, {}, 0.5)
    assert taken(feedback) == [("lost it", "card")]
    assert feedback.set_aside == {"with a truth that cannot be one of its input": 1}


def test_an_input_that_somebody_removed_stops_nothing() -> None:
    def whole(request: object) -> object:
        if request == {"text": "mine"}:
            raise JournalError("it is missing")
        return request

    lines = [asked("1", "lost it"), judged("1", "card"), asked("2", "mine"), judged("2", "card")]
    feedback = collect(lambda: lines, "ferry", replace(reader(), whole=whole), {}, 0.5)
    assert taken(feedback) == [("lost it", "card")]
    assert feedback.set_aside == {"whose input is no longer kept": 1}


def test_feedback_finds_its_question_whichever_came_first_in_the_journal() -> None:
    assert taken(read(judged("1", "card"), asked("1", "lost it"))) == [("lost it", "card")]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_of_several_truths_for_one_answer_the_latest_counts_wherever_it_is_read(order: tuple[int, ...]) -> None:
    lines = [asked("1", "lost it"), judged("1", "fees", 1), judged("1", "card", 30), judged("1", "fees", 2)]
    assert taken(read(*(lines[place] for place in order))) == [("lost it", "card")]


def test_of_two_labels_of_one_moment_the_same_counts_in_either_order() -> None:
    lines = [judged("1", "card"), judged("1", "fees")]
    first, second = (taken(read(asked("1", "lost it"), *each)) for each in (lines, lines[::-1]))
    assert first == second == [("lost it", "fees")]


@pytest.mark.parametrize("written", [" card", "card\u200b"])
def test_a_label_counts_in_its_normal_form_as_the_monitor_counts_it(written: str) -> None:
    assert taken(read(asked("1", "lost it"), judged("1", written))) == [("lost it", "card")]


def test_of_the_journal_only_what_was_judged_is_held() -> None:
    """A journal many times as large as what it may take."""

    def lines() -> Iterator[dict[str, Any]]:
        for number in range(20_000):
            yield asked(str(number), f"{number} " + "x" * 1000)
            if number % 1000 == 0:
                yield judged(str(number), "card")

    tracemalloc.start()
    feedback = collect(lines, "ferry", reader(), {}, 0.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(feedback.train) + len(feedback.held_out) == 20
    assert peak < 1_000_000, "the predictions have 20 MB"


def test_a_row_that_training_would_stop_at_is_set_aside() -> None:
    feedback = read(asked("1", ""), judged("1", "card"), asked("2", "lost it"), judged("2", "card"))
    assert taken(feedback) == [("lost it", "card")]
    assert dict(feedback.set_aside) == {"whose input training does not take": 1}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([asked("1", "hi", "other"), judged("1", "card")], "another model"),
        ([judged("1", "card"), asked("2", "hi")], "another model"),
        ([asked("1", "hi"), judged("1", "weather")], "does not know"),
        ([asked("1", "hi") | {"request": 7}, judged("1", "card")], "no longer takes"),
        ([asked("1", "hi"), asked("2", "HI"), judged("1", "card"), judged("2", "fees")], "several truths"),
    ],
)
def test_what_cannot_be_learned_from_is_counted_with_the_reason(lines: list[dict[str, Any]], why: str) -> None:
    feedback = read(*lines)
    assert taken(feedback) == []
    assert [why in reason for reason in feedback.set_aside][-1]


def test_what_says_the_same_counts_once() -> None:
    assert taken(read(asked("1", "hi"), asked("2", "Hi"), judged("1", "card"), judged("2", "card"))) == [("Hi", "card")]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_rows_of_the_data_set_are_not_taken_again(split: str) -> None:
    feedback = read(asked("1", "HI there"), judged("1", "card"), known=splits_by_key(TEXTS, {split: [("hi  THERE",)]}))
    assert taken(feedback) == []
    assert dict(feedback.set_aside) == {f"in the {split} split already": 1}


def test_a_row_is_held_out_whatever_else_is_feedback() -> None:
    lines = [line for n in range(200) for line in (asked(str(n), f"row {n}"), judged(str(n), "card"))]
    few, many = read(*lines[:100], holdout=0.3), read(*lines, holdout=0.3)
    assert all(one in many.held_out for one in few.held_out)
    assert all(one in many.train for one in few.train)
    assert 0.2 < len(many.held_out) / 200 < 0.4


def test_a_journal_without_inputs_says_how_to_keep_them() -> None:
    line = {"event": "prediction", "id": "1", "model": "ferry", "request_sha256": "00"}
    with pytest.raises(UserError, match="BOATYARD_JOURNAL_INPUT=stored"):
        read(line, judged("1", "card"))


def test_of_numbers_equal_ones_agree_and_others_do_not() -> None:
    lines = [
        asked("1", "hi"),
        asked("2", "HI"),
        asked("3", "you"),
        asked("4", "You"),
        judged("1", 3, key="value"),
        judged("2", 3.0, key="value"),
        judged("3", 1, key="value"),
        judged("4", 2, key="value"),
        asked("5", "all"),
        judged("5", "many", key="value"),
    ]
    feedback = read(*lines, task=VALUES)
    assert feedback.train + feedback.held_out == [(("HI",), {"value": 3.0})]
    assert feedback.set_aside["with several truths"] == 1
    assert feedback.set_aside["with a truth that the model does not know"] == 1
