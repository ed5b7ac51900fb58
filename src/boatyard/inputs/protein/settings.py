"""The configuration keys of proteins."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from boatyard.config.schema import Model, Section, Train


class ProteinData(Section):
    """Where sequences, ids and labels are. In FASTA a label is in the header, in a second file or a file's name."""

    sequence_column: str = "sequence"
    """Of CSV, JSON Lines and the like."""
    id_column: str = "id"
    """Of those, and of `labels`; rows without one are known by their line."""
    label_pattern: str | None = None
    """A regular expression that is looked for in the header of a FASTA record: its group is the label."""
    labels: str | None = None
    """A table with the columns `id_column` and `target`, for records of FASTA."""
    binary: bool = False
    """Whether all labels but `negative` are one, `positive`."""
    negative: str = "none"
    positive: str = "some"

    @model_validator(mode="after")
    def _has_labels_in_one_place(self) -> Self:
        if self.label_pattern is not None and self.labels is not None:
            raise ValueError("label_pattern and labels contradict each other: give one of them")
        if self.negative == self.positive:
            raise ValueError("negative and positive must differ")
        return self


class ProteinModel(Section):
    """What a network reads of a sequence, and its shape."""

    max_residues: int = Field(2_000, ge=8, le=40_000)
    word_width: int = Field(48, ge=1)
    """Of the vectors of residues and of words of them."""
    width: int = Field(64, ge=1)
    """Of the embedding."""


class ProteinTrain(Section):
    """How an epoch's sequences differ from those that are stored. With zeros they do not."""

    substituted: float = Field(0.4, ge=0, le=1)
    """The largest share of a sequence's residues that give way to others, as often as BLOSUM62 has it."""
    indels: float = Field(1.0, ge=0)
    """Insertions and deletions in a sequence, on average."""
    cut: float = Field(0.8, ge=0, le=1)
    """Of how many sequences only a stretch is read."""
    background: float = Field(0.0, ge=0)
    """Sequences of no protein beside each row, made of it or of chance; their label is `data.negative`."""


SECTIONS: Mapping[str, type[Section]] = {
    "data": ProteinData,
    "model.protein": ProteinModel,
    "train.protein": ProteinTrain,
}


def protein_model(model: Model) -> ProteinModel:
    """The section `model.protein`, which a configuration for proteins has."""
    section: ProteinModel = model.protein  # type: ignore[attr-defined]
    return section


def protein_train(train: Train) -> ProteinTrain:
    """The section `train.protein`."""
    section: ProteinTrain = train.protein  # type: ignore[attr-defined]
    return section
