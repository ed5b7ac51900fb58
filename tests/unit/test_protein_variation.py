"""Training sequences that an epoch reads anew: relatives, stretches, and a background that is nothing."""

import pickle

import numpy as np
import pytest

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.inputs.protein.sequences import OTHER, RESIDUES, numbers
from boatyard.inputs.protein.substitution import CHANCES, FREQUENCIES, substitutes
from boatyard.inputs.protein.variation import background_of, open_variation, varied_sequence
from boatyard.inputs.training_protocol import TARGET

SEQUENCE = numbers("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVX")
LABELS = {"labels": ["A", "none"]}
STILL = ("train.protein.substituted=0.0", "train.protein.indels=0.0", "train.protein.cut=0.0")


def section(*overrides):
    return load_config(["data=fasta", "data.path=x.fasta", "data.name=x", "tracking=none", *overrides])


def open_(*overrides, target=LABELS):
    config = section(*overrides)
    return open_variation(config.train, config.data, target)


def test_a_residue_gives_way_to_those_it_is_often_aligned_with_and_never_to_itself() -> None:
    drawn = np.zeros((20, 20))
    for number in range(1, 21):
        found = substitutes(np.full(20_000, number, np.uint8), np.random.default_rng(number))
        drawn[number - 1] = np.bincount(found, minlength=21)[1:] / len(found)
    assert np.abs(drawn - CHANCES).max() < 0.02
    assert (drawn.diagonal() == 0).all()
    likeliest = {residue: RESIDUES[row.argmax()] for residue, row in zip(RESIDUES, CHANCES, strict=True)}
    assert {likeliest[residue] for residue in "ILV"} <= set("ILV")
    assert likeliest["D"] == "E"
    assert likeliest["K"] == "R"
    assert likeliest["F"] == "Y"


def test_scores_of_substitution_are_those_of_related_proteins() -> None:
    # BLOSUM62's relative entropy is 0.70 bits: a slip of the pen in the matrix would move it
    aligned = FREQUENCIES[:, None] * CHANCES
    assert np.abs(aligned - aligned.T).max() < 0.004


def test_as_much_is_substituted_as_is_allowed_and_unknown_residues_stay() -> None:
    settings = section("train.protein.substituted=0.4", *STILL[1:]).train.protein
    random = np.random.default_rng(0)
    varied = [varied_sequence(SEQUENCE, settings, random) for _ in range(200)]
    shares = [(each != SEQUENCE).mean() for each in varied]
    assert {len(each) for each in varied} == {len(SEQUENCE)}
    assert 0.15 < np.mean(shares) < 0.25
    assert max(shares) < 0.6
    assert all(each[-1] == OTHER and each.min() > 0 for each in varied)


def test_a_stretch_is_three_tenths_of_the_sequence_or_more() -> None:
    settings = section("train.protein.cut=1.0", *STILL[:2]).train.protein
    whole, random = SEQUENCE.tobytes(), np.random.default_rng(0)
    stretches = [varied_sequence(SEQUENCE, settings, random) for _ in range(100)]
    assert all(each.tobytes() in whole and len(each) >= int(0.3 * len(SEQUENCE)) for each in stretches)
    assert len({len(each) for each in stretches}) > 20


def test_insertions_and_deletions_leave_a_sequence() -> None:
    settings = section("train.protein.indels=5.0", STILL[0], STILL[2]).train.protein
    random = np.random.default_rng(0)
    for length in (1, 4, len(SEQUENCE)):
        varied = [varied_sequence(SEQUENCE[:length], settings, random) for _ in range(100)]
        assert all(len(each) and each.min() > 0 for each in varied)


def test_background_is_like_proteins_and_none_under_the_label_of_what_is_none() -> None:
    vary = open_(*STILL, "train.protein.background=2.0")
    items = [{"residues": SEQUENCE.tolist(), TARGET: 0, "cost": len(SEQUENCE)}] * 50
    seen = vary(items, np.random.default_rng(0))
    rows, background = seen[:50], seen[50:]
    assert all((row["residues"] == SEQUENCE).all() and row[TARGET] == 0 for row in rows)
    assert 70 < len(background) < 130
    assert {row[TARGET] for row in background} == {1}
    long = [row["residues"] for row in background if len(row["residues"]) == len(SEQUENCE)]
    assert 0.6 < len(long) / len(background) < 0.95  # the rest are scraps
    assert all((each != SEQUENCE).any() and each.min() > 0 for each in long)
    turned = sum((each == SEQUENCE[::-1]).all() for each in long)
    shuffled = sum(sorted(each) == sorted(SEQUENCE) for each in long) - turned
    assert 0 < turned < shuffled < len(long) - turned
    assert len(background_of(SEQUENCE[:3], np.random.default_rng(0)))


def test_processes_that_load_batches_can_take_it_along() -> None:
    vary = open_("train.protein.background=0.5")
    items = [{"residues": SEQUENCE.tolist(), TARGET: 0}] * 8
    seen = [each(items, np.random.default_rng(3)) for each in (vary, pickle.loads(pickle.dumps(vary)))]  # noqa: S301
    assert [row["residues"].tolist() for row in seen[0]] == [row["residues"].tolist() for row in seen[1]]


def test_its_keys_are_no_keys_of_texts() -> None:
    with pytest.raises(UserError, match=r"train\.protein\.cut belongs to data\.input=protein, and this is text"):
        load_config(["data=inbox", "train.protein.cut=0.1"])


def test_its_keys_are_checked() -> None:
    with pytest.raises(UserError, match=r"unknown key train\.protein\.cuts?"):
        load_config(["data=resistance", "train.protein.cuts=0.1"])
    with pytest.raises(UserError, match=r"train\.protein\.cut=2\.0"):
        load_config(["data=resistance", "train.protein.cut=2.0"])
    assert load_config(["data=resistance", "data.binary=true"]).train.protein.background > 0


def test_without_any_of_it_rows_are_read_as_they_are() -> None:
    assert open_(*STILL) is None


def test_background_without_a_label_for_it_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.protein\.background: none of the labels is data\.negative='none'"):
        open_("train.protein.background=0.5", target={"labels": ["A", "B"]})
    with pytest.raises(UserError, match=r"train\.protein\.background"):
        open_("train.protein.background=0.5", target={"unit": "kDa"})
