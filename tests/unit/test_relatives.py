"""Relatives stay on one side of a split, a later version leaves rows where they were, and bridges are found."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from boatyard.data.ledger import TEST, TRAIN, VALIDATION, Findings, Ledger
from boatyard.data.relatives import deal_out, find_bridges, keep_splits, read_earlier
from boatyard.tasks.classification.targets import Labels

pytestmark = pytest.mark.unit


def read(rows: list[tuple[int, str, int]]) -> tuple[Ledger, Labels]:
    """Rows of content, label and the source's split."""
    ledger, labels = Ledger(["x.csv"]), Labels("topic", least=1)
    for number, (content, label, split) in enumerate(rows, 1):
        ledger.add(0, number, split, 1, content, content)
        labels.append(label)
    ledger.close()
    labels.close()
    return ledger, labels


def chains(contents: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Contents that follow each other are relatives."""
    order = np.argsort(contents)
    groups = np.zeros(len(contents), np.int64)
    groups[order] = np.cumsum(np.diff(contents[order].astype(np.int64), prepend=-10) > 1)
    return groups


def bridges(
    rows: list[tuple[int, str, int]], earlier: dict[int, tuple[int, int]]
) -> tuple[NDArray[np.int64], dict[int, str], Findings]:
    (ledger, _), findings = read(rows), Findings()
    relate = lambda some: chains(ledger.exact[some])  # noqa: E731
    groups, found = find_bridges(ledger, chains(ledger.exact), earlier, relate, findings)
    return groups, found, findings


def test_each_label_is_dealt_out_by_its_shares_and_no_group_is_parted() -> None:
    rows = [(100 * group + member, f"of {group % 2}", -1) for group in range(200) for member in range(5)]
    ledger, labels = read(rows)
    groups = chains(ledger.exact)
    deal_out(ledger, labels, groups, {}, validation_share=0.1, test_share=0.2)
    for label in (0, 1):
        assert Counter(ledger.split[labels.values == label].tolist()) == {TRAIN: 350, VALIDATION: 50, TEST: 100}
    assert all(len(set(ledger.split[groups == group].tolist())) == 1 for group in groups)


def test_the_order_of_rows_makes_no_difference() -> None:
    rows = [(10 * number, "a", -1) for number in range(100)]
    splits = []
    for each in (rows, rows[::-1]):
        ledger, labels = read(each)
        deal_out(ledger, labels, chains(ledger.exact), {}, 0.1, 0.2)
        splits.append(dict(zip(ledger.exact.tolist(), ledger.split.tolist(), strict=True)))
    assert splits[0] == splits[1]


def test_a_test_split_that_is_given_stays_and_validation_is_taken_of_the_others() -> None:
    ledger, labels = read([(10 * number, "a", TEST if number < 20 else TRAIN) for number in range(100)])
    deal_out(ledger, labels, chains(ledger.exact), {}, 0.1, 0.2)
    assert (ledger.split[:20] == TEST).all()
    assert Counter(ledger.split[20:].tolist()) == {TRAIN: 72, VALIDATION: 8}


def test_rows_and_their_relatives_stay_where_they_were(tmp_path: Path) -> None:
    ledger, labels = read([(10 * number, "a", -1) for number in range(100)])
    deal_out(ledger, labels, chains(ledger.exact), {}, 0.1, 0.2)
    before = dict(zip(ledger.exact.tolist(), ledger.split.tolist(), strict=True))
    keep_splits(tmp_path / "splits.csv", ledger, chains(ledger.exact), np.ones(100, bool))
    earlier = read_earlier(str(tmp_path / "splits.csv"))
    more = [(10 * number + step, "a", -1) for step in (1, 5) for number in range(100)]
    ledger, labels = read([*more, *((10 * number, "a", -1) for number in range(100))])
    deal_out(ledger, labels, chains(ledger.exact), earlier, 0.1, 0.2)
    after = dict(zip(ledger.exact.tolist(), ledger.split.tolist(), strict=True))
    assert all(after[content] == after[content + 1] == split for content, split in before.items())
    assert Counter(ledger.split.tolist())[TEST] == pytest.approx(60, abs=2)


def test_only_the_new_row_that_joins_two_sides_is_set_aside() -> None:
    earlier = {1: (0, TRAIN), 2: (0, TRAIN), 5: (1, TEST)}
    rows = [(content, "a", -1) for content in (1, 2, 3, 4, 5, 6)]
    groups, found, findings = bridges(rows, earlier)
    assert found == {3: "resembles rows of train and of test, and would join them"}  # 3 came first, and is train's
    assert [issue.row for issue in findings.issues] == [4]
    assert groups[0] == groups[1] == groups[2] != groups[4] == groups[5]


def test_rows_that_were_relatives_are_so_still_without_what_joined_them() -> None:
    groups, found, _ = bridges([(1, "a", -1), (5, "a", -1)], {1: (7, TEST), 5: (7, TEST)})
    assert groups[0] == groups[1]
    assert not found


def test_a_new_row_of_a_given_split_must_not_resemble_what_another_has() -> None:
    earlier = {1: (0, TEST), 10: (1, TRAIN)}
    rows = [(1, "a", TEST), (2, "a", TRAIN), (10, "a", TRAIN), (11, "a", TRAIN)]
    assert bridges(rows, earlier)[1] == {1: "resembles rows of test, and is one of train"}


def test_rows_of_two_sides_that_turn_out_to_be_relatives_stay_where_they_were() -> None:
    ledger, labels = read([(1, "a", -1), (2, "a", -1), (50, "a", -1)])
    earlier = {1: (0, TRAIN), 2: (1, TEST), 50: (2, VALIDATION)}
    groups, found = find_bridges(
        ledger, chains(ledger.exact), earlier, lambda some: chains(ledger.exact[some]), Findings()
    )
    deal_out(ledger, labels, groups, earlier, 0.1, 0.2)
    assert ledger.split.tolist() == [TRAIN, TEST, VALIDATION]
    assert not found
