"""Training sequences as an epoch reads them: relatives of those that are stored, and sequences that are nothing.

A network that sees each sequence once an epoch, and always the same, knows these. One that meets relatives of them, as
evolution would make them, knows what the relatives have in common; and one that meets shuffled sequences and scraps
does not take whatever is foreign for what it knows.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.errors import UserError
from boatyard.config.schema import Data, Train
from boatyard.inputs.protein.sequences import OTHER
from boatyard.inputs.protein.settings import ProteinTrain, protein_train
from boatyard.inputs.protein.substitution import FREQUENCIES, by_chance, substitutes
from boatyard.inputs.training_protocol import TARGET, Vary
from boatyard.tasks.protocol import Target

Residues = NDArray[np.uint8]

_LONGEST_INDEL = 8
_LEAST_RESIDUES = 40  # of a sequence from which some are deleted
_SHORTEST_STRETCH = 0.3  # of the sequence
_SCRAP = (10, 40)  # residues
_EVENNESS = (-0.5, 1.5)  # of a composition, as a logarithm: the larger, the nearer to that of proteins
_LONGEST_UNIT, _UNLIKE = 12, 0.2  # of what is repeated, and the largest share that is substituted
_RESIDUES = np.arange(1, OTHER, dtype=np.uint8)


def open_variation(train: Train, data: Data, target: Target) -> Vary | None:
    """By the section `train.protein`. Raises UserError where no label is that of the background."""
    settings = protein_train(train)
    nothing = _negative(data, target) if settings.background else None
    if not any(settings.model_dump().values()):
        return None

    return partial(vary_rows, settings, nothing)  # and no closure: processes that load batches take it along


def varied_sequence(residues: Residues, settings: ProteinTrain, random: np.random.Generator) -> Residues:
    """A relative, or a stretch of one."""
    if random.random() < settings.cut:
        residues = _stretch(residues, int(len(residues) * random.uniform(_SHORTEST_STRETCH, 1)), random)
    residues = _substitute(residues, random.uniform(0, settings.substituted), random)
    for _ in range(random.poisson(settings.indels)):
        residues = _indel(residues, random)
    return residues


def background_of(residues: Residues, random: np.random.Generator) -> Residues:
    """As long as the residues and in some way like them, but no protein; or a scrap, too short to be one."""
    make = _BACKGROUNDS[random.choice(len(_BACKGROUNDS), p=_SHARES)]
    return make(residues, random)


def vary_rows(
    settings: ProteinTrain, nothing: int | None, items: Sequence[Mapping[str, Any]], random: np.random.Generator
) -> list[Mapping[str, Any]]:
    """Relatives of encoded rows and, where `nothing` is a label, a background under it."""
    stored = [np.asarray(item["residues"], np.uint8) for item in items]
    varied = [
        {**item, "residues": varied_sequence(residues, settings, random)}
        for item, residues in zip(items, stored, strict=True)
    ]
    # of what is something: its residues, without their order, must not be enough
    originals = [i for i, item in enumerate(items) if item[TARGET] != nothing] or range(len(items))
    drawn = random.choice(originals, size=random.poisson(settings.background * len(items)))
    background = [{**items[i], "residues": background_of(stored[i], random), TARGET: nothing} for i in drawn.tolist()]
    return [*varied, *background]


def _negative(data: Data, target: Target) -> int:
    """The label of what is none."""
    label: str = data.negative  # type: ignore[attr-defined]
    labels: list[str] = target.get("labels", [])
    if label not in labels:
        raise UserError(f"train.protein.background: none of the labels is data.negative={label!r}, which it would have")
    return labels.index(label)


def _stretch(residues: Residues, length: int, random: np.random.Generator) -> Residues:
    length = min(max(length, 1), len(residues))
    start = int(random.integers(len(residues) - length + 1))
    return residues[start : start + length]


def _shuffled(residues: Residues, random: np.random.Generator) -> Residues:
    shuffled: Residues = random.permutation(residues)
    return shuffled


def _scrap(residues: Residues, random: np.random.Generator) -> Residues:
    return _stretch(residues, int(random.integers(*_SCRAP)), random)


def _reversed(residues: Residues, random: np.random.Generator) -> Residues:  # noqa: ARG001 - every kind's signature
    return residues[::-1].copy()  # torch reads no view that runs backwards


def _of_odd_composition(residues: Residues, random: np.random.Generator) -> Residues:
    """By chance, with some residues more often than proteins have them, as where a frame was missed."""
    shares = random.dirichlet(len(FREQUENCIES) * 10 ** random.uniform(*_EVENNESS) * FREQUENCIES)
    return random.choice(_RESIDUES, len(residues), p=shares)


def _repetitive(residues: Residues, random: np.random.Generator) -> Residues:
    """A stretch again and again, a little different each time."""
    unit = _stretch(random.permutation(residues), int(random.integers(1, _LONGEST_UNIT + 1)), random)
    return _substitute(np.resize(unit, len(residues)), random.uniform(0, _UNLIKE), random)


_BACKGROUNDS = (_shuffled, _scrap, _reversed, _of_odd_composition, _repetitive)
_SHARES = (0.35, 0.1, 0.1, 0.2, 0.25)


def _substitute(residues: Residues, share: float, random: np.random.Generator) -> Residues:
    """What is none of the twenty stays."""
    places = np.flatnonzero((random.random(len(residues)) < share) & (residues < OTHER))
    substituted = residues.copy()
    substituted[places] = substitutes(residues[places], random)
    return substituted


def _indel(residues: Residues, random: np.random.Generator) -> Residues:
    at, length = int(random.integers(len(residues))), int(random.integers(1, _LONGEST_INDEL + 1))
    if random.random() < 0.5 and len(residues) > _LEAST_RESIDUES:
        return np.concatenate([residues[:at], residues[at + length :]])
    return np.concatenate([residues[:at], by_chance(length, random), residues[at:]])
