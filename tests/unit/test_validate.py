"""What counts as wrong in rows, and where each row goes."""

import numpy as np
import pytest

from boatyard.data.ledger import TEST, TRAIN, VALIDATION, Findings, Ledger, content_hash
from boatyard.data.summary import Issue
from boatyard.data.validate import assign_splits, check_split, compare_rows
from boatyard.inputs.text.rows import check_text, content_key, group_key, size
from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.classification.targets import Labels

pytestmark = pytest.mark.unit


def read(*rows: tuple[str, str, int]) -> tuple[Ledger, Labels]:
    """Rows of text, label, split; numbered from 1 in one file."""
    ledger, labels = Ledger(["x.csv"]), Labels("topic", least=2)
    for number, (text, label, split) in enumerate(rows, 1):
        row = (text,)
        group = content_hash(group_key(row))
        ledger.add(0, number, split, size(row), content_hash(content_key(row)), group, group)
        labels.append(label)
    ledger.close()
    labels.close()
    return ledger, labels


def ledger(*rows: tuple[str, str, int]) -> Ledger:
    return read(*rows)[0]


def compare(*rows: tuple[str, str, int]) -> tuple[dict[int, str], Findings]:
    findings = Findings()
    return compare_rows(*read(*rows), findings, "error"), findings


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "missing_column"), (3.5, "not_text"), (" \t", "empty"), ("caf\udce9", "bad_bytes"), ("café", None)],
)
def test_each_cell_must_be_a_text_that_says_something(value: object, kind: str | None) -> None:
    problem = check_text(value, "body")
    assert (problem.kind if problem else None) == kind
    assert problem is None or problem.column == "body"


@pytest.mark.parametrize(
    ("value", "split"), [("train", TRAIN), (" Dev ", VALIDATION), ("val", VALIDATION), ("TEST", TEST)]
)
def test_a_split_goes_under_its_usual_names(value: str, split: int) -> None:
    assert check_split(value, "part") == split


@pytest.mark.parametrize("value", ["tset", "", None])
def test_an_unknown_split_is_a_problem_that_names_the_known(value: object) -> None:
    problem = check_split(value, "part")
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.column) == ("unknown_split", "part")
    assert problem.message.startswith(f"says {value!r}; known are train, training, validation")


def test_an_exact_repetition_is_an_error_and_the_first_is_kept() -> None:
    unusable, findings = compare(("Hello", "a", TRAIN), ("other", "a", TRAIN), ("Hello", "a", TRAIN))
    assert unusable.keys() == {2}
    (issue,) = findings.issues
    assert (issue.severity, issue.kind, issue.row, issue.message) == ("error", "duplicate", 3, "repeats x.csv row 1")


def test_the_same_content_in_two_splits_is_leakage_and_the_test_row_is_kept() -> None:
    unusable, findings = compare(("Hello", "a", TEST), ("Hello", "a", TRAIN), ("Hello", "a", VALIDATION))
    assert unusable.keys() == {1, 2}
    assert findings.counts == {"error:leakage": 2}


def test_two_labels_for_one_content_put_every_such_row_in_doubt() -> None:
    unusable, findings = compare(("Hello", "a", TRAIN), ("Hello", "b", TEST), ("Hello", "a", TRAIN))
    assert unusable.keys() == {0, 1, 2}
    (issue,) = findings.issues
    assert (issue.kind, issue.column, issue.row) == ("conflict", "topic", 2)
    assert issue.message == "says 'b', but the same content in x.csv row 1 says 'a'"


def test_what_differs_in_case_punctuation_and_space_only_is_a_warning() -> None:
    unusable, findings = compare(
        ("Hello, you!", "a", TRAIN), ("hello  YOU", "a", TRAIN), ("hello you", "b", TRAIN), ("Hello you?", "a", TEST)
    )
    assert not unusable
    assert findings.counts == {"warning:duplicate": 2, "warning:conflict": 1, "warning:leakage": 1}
    assert findings.errors == 0


def test_an_exact_repetition_is_not_warned_of_once_more() -> None:
    _, findings = compare(("Hello", "a", TRAIN), ("Hello", "a", TRAIN))
    assert findings.counts == {"error:duplicate": 1}


def test_a_label_that_training_sees_too_seldom_or_never_is_an_error() -> None:
    rows = [(f"text {i}", "often", TRAIN) for i in range(3)]
    made, labels = read(*rows, ("few", "rare", TRAIN), ("none", "unknown", TEST))
    findings = Findings()
    unusable = labels.check(made, findings, np.ones(5, bool))
    assert unusable.keys() == {3, 4}
    assert {issue.kind: issue.row for issue in findings.issues} == {"rare_label": 4, "unknown_label": 5}


def test_adding_rows_moves_none_of_the_old_ones() -> None:
    old = [(f"message number {i}", "a", -1) for i in range(400)]
    new = [(f"another message {i}", "b", -1) for i in range(400)]
    before, after = ledger(*old), ledger(*new, *old)
    for made in (before, after):
        assign_splits(made, validation_share=0.1, test_share=0.2)
    assert (before.split == after.split[400:]).all()


def test_the_shares_come_out_and_rows_that_say_the_same_stay_together() -> None:
    plain = [(f"message number {i}", "a", -1) for i in range(5000)]
    loud = [(f"MESSAGE, number {i}!", "a", -1) for i in range(5000)]
    made = ledger(*plain, *loud)
    assign_splits(made, validation_share=0.1, test_share=0.2)
    assert (made.split[:5000] == made.split[5000:]).all()
    assert np.bincount(made.split) / 10_000 == pytest.approx([0.7, 0.1, 0.2], abs=0.02)


def test_given_splits_are_left_alone_and_only_what_is_missing_is_drawn_from_train() -> None:
    made = ledger(*[(f"m {i}", "a", TRAIN if i % 2 else TEST) for i in range(1000)])
    given = made.split.copy()
    assign_splits(made, validation_share=0.2, test_share=0.2)
    assert ((made.split == TEST) == (given == TEST)).all()
    assert (made.split == VALIDATION).sum() == pytest.approx(100, abs=30)


def test_an_error_after_a_thousand_warnings_is_not_lost() -> None:
    findings = Findings()
    for number in range(2000):
        findings.add(Issue("warning", "duplicate", "says the same", "x.csv", number, None))
    findings.add(Issue("error", "rare_label", "too few", "x.csv", 7, "topic"))
    assert len(findings.issues) == 1000
    assert findings.first_error is not None
    assert findings.first_error.row == 7
    assert findings.errors == 1


def test_where_rows_can_be_alike_and_not_the_same_all_are_kept() -> None:
    findings = Findings()
    rows = read(("Hello", "a", TRAIN), ("Hello", "a", TRAIN), ("Hello", "b", TRAIN), ("Hello", "a", TEST))
    assert not compare_rows(*rows, findings, "warning")
    assert findings.counts == {"warning:duplicate": 2, "warning:conflict": 1, "warning:leakage": 1}
