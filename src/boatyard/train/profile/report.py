"""The profile for people and for programs, with the one setting that would help most."""

import json
from collections.abc import Iterator
from pathlib import Path

from boatyard.evaluate.markdown import escape, table
from boatyard.train.profile.measure import BACKWARD, DATA, FORWARD, OPTIMISER, REST, Profile

TRACE = "trace.json"
_MUCH_PADDING = 0.2


def write_report(folder: Path, title: str, profile: Profile) -> None:
    """Write `report.md` and `report.json` into `folder`, where the trace lies."""
    paragraphs = [
        f"# {escape(title)}",
        f"An average of {profile.steps} steps after the warm-up, on {escape(profile.device)}.",
        table(("Part", "ms", "Share"), parts_rows(profile), align="lrr"),
        "The optimiser's part holds clipping and the scheduler; the rest is the Trainer's own work. On a GPU each part "
        "is waited for, so that what overlaps in training adds up here.",
        escape(throughput(profile)),
        f"**{escape(bottleneck(profile))}**",
        f"[{TRACE}]({TRACE}) holds three steps, call by call: open it at <https://ui.perfetto.dev> or chrome://tracing.",
    ]
    (folder / "report.md").write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(_facts(profile), indent=2) + "\n", encoding="utf-8")


def parts_rows(profile: Profile) -> Iterator[tuple[str, str, str]]:
    """Each part's milliseconds in an average step and its share, then the whole step's."""
    for part, seconds in [*profile.parts.items(), ("step", profile.seconds)]:
        yield part, f"{1000 * seconds / profile.steps:,.2f}", f"{seconds / profile.seconds:.1%}"


def throughput(profile: Profile) -> str:
    """Rows a second, and the cost they have together, without padding, where rows differ in it."""
    read = f"{profile.rows / profile.seconds:,.0f} rows"
    if profile.cost_unit != "rows":
        read += f" and {profile.cost / profile.seconds:,.0f} {profile.cost_unit}"
    return f"{read} a second; {profile.padding:.1%} of what the network reads is padding."


def bottleneck(profile: Profile) -> str:
    """What takes longest, and what would help."""
    parts = profile.parts
    costs = {
        "waiting for data": (parts[DATA], _data_advice(profile)),
        "the network's forward and backward pass": (parts[FORWARD] + parts[BACKWARD], _network_advice(profile)),
        "the optimiser": (
            parts[OPTIMISER],
            "a larger train.per_device_train_batch_size or train.gradient_accumulation_steps makes its steps fewer",
        ),
        "the Trainer's own work": (
            parts[REST],
            "a larger train.per_device_train_batch_size spreads it over more rows",
        ),
    }
    name, (seconds, advice) = max(costs.items(), key=lambda cost: cost[1][0])
    return f"The bottleneck is {name}, {seconds / profile.seconds:.0%} of a step: {advice}."


def _data_advice(profile: Profile) -> str:
    if profile.workers:
        return f"more than train.dataloader_num_workers={profile.workers} would help"
    return "train.dataloader_num_workers=2 fetches in other processes meanwhile"


def _network_advice(profile: Profile) -> str:
    if profile.padding > _MUCH_PADDING and profile.sampling != "group_by_length":
        grouping = "train.train_sampling_strategy=group_by_length"
        return f"{profile.padding:.0%} of what it reads is padding, and {grouping} makes that less"
    return (
        "the device's matrix multiplication is the limit. A larger batch may use it better; otherwise only a faster "
        "device or a smaller network helps"
    )


def _facts(profile: Profile) -> dict[str, object]:
    return {
        "device": profile.device,
        "steps": profile.steps,
        "step_milliseconds": 1000 * profile.seconds / profile.steps,
        "parts": {
            part: {"milliseconds": 1000 * seconds / profile.steps, "share": seconds / profile.seconds}
            for part, seconds in profile.parts.items()
        },
        "rows_per_second": profile.rows / profile.seconds,
        "cost_per_second": profile.cost / profile.seconds,
        "cost_unit": profile.cost_unit,
        "padding_share": profile.padding,
        "bottleneck": bottleneck(profile),
    }
