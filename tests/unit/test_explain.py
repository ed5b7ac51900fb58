"""Shapley values by sampled paths: what they add up to, and that they are those of models whose are known."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from boatyard.bundle.explain import PATHS, paths_to_row

pytestmark = pytest.mark.unit

Numbers = NDArray[np.float64]
Model = Callable[[Numbers], Numbers]
"""[rows, columns] to [rows]."""


def explained(model: Model, row: Numbers, background: Numbers, seed: int = 0) -> tuple[float, Numbers]:
    paths = paths_to_row(len(row), len(background), seed)
    return paths.effects(model(np.where(paths.kept, row, background[paths.background])))


def additive(rows: Numbers) -> Numbers:
    return np.asarray(rows @ np.arange(1, rows.shape[1] + 1))


def tangled(rows: Numbers) -> Numbers:
    return np.asarray(np.tanh(rows[:, 0] * rows[:, 1] - rows[:, 2]) * rows.sum(axis=1) + np.exp(rows).prod(axis=1))


def exact(model: Model, row: Numbers, background: Numbers) -> Numbers:
    """By all orders and all background rows."""
    effects, orders = np.zeros(len(row)), list(permutations(range(len(row))))
    for start in background:
        for order in orders:
            at = start.copy()
            for part in order:
                before, at[part] = model(at[None])[0], row[part]
                effects[part] += model(at[None])[0] - before
    return effects / len(orders) / len(background)


@pytest.mark.parametrize("backgrounds", [1, 3, PATHS, 100])
@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_base_and_effects_add_up_to_the_rows_number(parts: int, backgrounds: int) -> None:
    random = np.random.default_rng(parts)
    row, background = random.normal(size=parts), random.normal(size=(backgrounds, parts))
    weights = random.normal(size=(2, parts))

    def model(rows: Numbers) -> Numbers:
        return np.asarray(np.tanh(rows @ weights[0]) * np.exp(np.sin(rows @ weights[1])))

    base, effects = explained(model, row, background)
    assert base + effects.sum() == pytest.approx(model(row[None])[0], abs=1e-12)
    starts = np.resize(model(background[:PATHS]), PATHS)
    assert base == pytest.approx(starts.mean())


def test_of_a_linear_model_a_parts_effect_is_its_weight_times_its_distance_from_the_mean() -> None:
    random = np.random.default_rng(1)
    row, background = random.normal(size=9), random.normal(size=(PATHS, 9))
    base, effects = explained(additive, row, background)
    np.testing.assert_allclose(effects, np.arange(1, 10) * (row - background.mean(axis=0)), atol=1e-12)
    assert base == pytest.approx(additive(background).mean())


def test_where_two_parts_at_most_act_together_nothing_is_left_to_chance() -> None:
    row, background = np.array([1.0, 2.0, 3.0, 4.0]), np.zeros((1, 4))

    def model(rows: Numbers) -> Numbers:
        return np.asarray(rows[:, 0] * rows[:, 1] + rows[:, 1] * rows[:, 2] + rows[:, 3] ** 2)

    for seed in range(3):
        np.testing.assert_allclose(explained(model, row, background, seed)[1], [1, 4, 3, 16], atol=1e-12)


def test_parts_that_do_the_same_have_the_same_effect_and_one_that_does_nothing_has_none() -> None:
    row, background = np.array([1.0, 1.0, 5.0]), np.zeros((1, 3))
    _, effects = explained(lambda rows: np.asarray(np.minimum(rows[:, 0] + rows[:, 1], 1.5)), row, background)
    np.testing.assert_allclose(effects, [0.75, 0.75, 0], atol=1e-12)


def test_of_a_tangled_model_the_sampled_effects_are_near_the_exact_ones() -> None:
    random = np.random.default_rng(2)
    row, background = random.uniform(-1, 1, 6), random.uniform(-1, 1, (PATHS, 6))
    wanted = exact(tangled, row, background[:8])
    near = explained(tangled, row, background[:8])[1]
    assert np.corrcoef(wanted, near)[0, 1] > 0.95


def test_the_same_seed_takes_the_same_paths() -> None:
    first, again, other = (paths_to_row(7, 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.kept, again.kept)
    assert np.array_equal(first.background, again.background)
    assert not np.array_equal(first.kept, other.kept)


def test_no_variant_is_asked_for_twice() -> None:
    few = paths_to_row(3, 1, 0)
    assert few.kept.tolist() == [list(map(bool, line)) for line in sorted(few.kept.tolist(), key=lambda one: sum(one))]
    assert len({tuple(line) for line in few.kept.tolist()}) == len(few.kept) == 2**3
    assert few.kept[-1].all(), "the row itself, last"
    many = paths_to_row(8, PATHS, 0)
    assert len(many.kept) == PATHS * 8 + 1, "each background row, each step, and the row itself once"


def test_a_row_without_parts_is_its_own_base() -> None:
    base, effects = paths_to_row(0, 1, 0).effects(np.array([0.25]))
    assert (base, effects.tolist()) == (0.25, [])
