"""Rows of a domain that is used nowhere else: questions to a plant nursery."""

import csv
from itertools import product
from pathlib import Path

PLANTS = ("fern", "basil", "orchid", "cactus", "lemon tree", "ivy", "rose", "monstera", "lavender", "bamboo")
QUESTIONS = {
    "watering": (
        "how much water does the {} want",
        "is it fine to soak my {} weekly",
        "the soil of my {} is dry again",
    ),
    "light": ("does a {} bear full sun", "my {} stands in a dark corner", "shade or sun for a {}"),
    "pests": ("tiny flies sit on my {}", "something eats holes into the {}", "white bugs below the leaves of the {}"),
    "delivery": ("when does the {} that I ordered come", "the parcel with my {} is late", "can you ship a {} abroad"),
}
# settings with which training on them takes seconds
SECONDS = (
    "model=scratch",
    "model.text.scratch.hidden_size=32",
    "model.text.scratch.layers=1",
    "model.text.scratch.vocabulary=300",
    "train.per_device_train_batch_size=16",
    "train.learning_rate=0.005",
    "train.eval_strategy=no",
    "tracking=none",
)


def write_plants(path: Path, *, text: str = "question", label: str = "topic") -> Path:
    """A CSV of 120 rows and 4 labels."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([text, label])
        for topic, questions in QUESTIONS.items():
            writer.writerows([question.format(plant), topic] for question, plant in product(questions, PLANTS))
    return path
