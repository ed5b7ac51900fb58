"""Counts from files to a Poisson regression."""

import numpy as np
import torch
from sklearn.linear_model import PoissonRegressor

from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.count.serving import deviance
from boatyard.tasks.defaults import *  # noqa: F403
from boatyard.tasks.defaults import Fitted, MeanLoss, Numbers, PlainHead


def losses(outputs, targets):
    return deviance(outputs["rate"].astype(float), targets)


def validation_scores(raw, targets):
    return {"deviance": deviance(np.exp(raw), targets).mean()}


measured = MeanLoss("deviance", losses)
VALIDATION, score, parity = measured.VALIDATION, measured.score, measured.parity


class Counts(Numbers):
    def read(self, cells):
        cell = str(cells.get(self.column))
        wrong = Problem("no_count", self.column, f"holds {cell!r}; expected a whole number")
        return int(cell) if cell.isascii() and cell.isdecimal() and len(cell) < 10 else wrong


open_targets = Counts


class Head(PlainHead, torch.nn.Linear):
    def forward(self, features):
        return {"log_rate": super().forward(features).squeeze(-1).clamp(-20, 20)}

    def loss(self, raw, targets):
        return torch.nn.functional.poisson_nll_loss(raw["log_rate"], targets)

    def served(self, raw):
        return (raw["log_rate"].exp(),)


def build_head(width, shape):
    return Head(width, 1)


def truth(stored, target):
    return {"count": int(stored)}


def fit_baseline(simple, rows, targets, target, seed):
    features, description = simple.features(rich=False)
    model = PoissonRegressor().fit(features.fit_transform(rows), targets)
    return Fitted("Poisson", description, lambda rows: {"rate": model.predict(features.transform(rows))})


def fallback(targets, target):
    return Fitted("the mean", "the mean count", lambda rows: {"rate": np.full(len(rows), targets.mean())})
