"""The picture that every task's report may have, as a PNG file."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from boatyard.evaluate.pictures import save_picture
from boatyard.tasks.score import Scores

_ACROSS = 4
_MODEL, _OTHER = "#08519c", "0.55"


def comparison_png(path: Path, models: Mapping[str, Scores]) -> None:
    """Draw each score that all of them have, with its interval where one is known. The first is the model itself."""
    first, *others = models.values()
    common = [score for score in first.all if all(score.name in other.by_name() for other in others)]
    down = -(-len(common) // _ACROSS)
    figure = Figure(figsize=(2.7 * min(len(common), _ACROSS), (1.0 + 0.3 * len(models)) * down), layout="constrained")
    grid = figure.subplots(down, min(len(common), _ACROSS), sharey=True, squeeze=False)
    places = range(len(models))
    for axes, score in zip(grid.flat, common, strict=False):
        measured = [next(each for each in scores.all if each.name == score.name) for scores in models.values()]
        colours = [_MODEL] + [_OTHER] * len(others)
        for place, each, colour in zip(places, measured, colours, strict=True):
            axes.plot(each.value, place, "o", color=colour, markersize=6)
            if each.low is not None and each.high is not None:
                axes.hlines(place, each.low, each.high, color=colour, linewidth=1.5)
        axes.set_title(f"{score.heading}\n({'more' if score.higher_is_better else 'less'} is better)", fontsize=8)
        axes.set_yticks(places, list(models))
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.tick_params(labelsize=8, left=False)
        axes.margins(x=0.15)
        axes.grid(axis="x", color="0.92")
        axes.spines[["top", "right", "left"]].set_visible(False)
    for axes in grid.flat[len(common) :]:
        axes.set_visible(False)
    save_picture(figure, path)
