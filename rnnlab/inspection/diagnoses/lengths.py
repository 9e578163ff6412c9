"""The score at other lengths than trained."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.batch import range_text
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.figure import GREY, Axis, Level, Line, Panel
from rnnlab.core.losses import LOSSES
from rnnlab.core.table import Table, table
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Inspected, Numbers
from rnnlab.inspection.evaluate import score

_MULTIPLES = (0.5, 1, 2, 5, 10)  # of the longest trained length
_SEQUENCES = 100  # per length


@final
@dataclass(frozen=True, slots=True)
class Lengths:
    """The score at each length.

    Attributes:
        timesteps: (L,) ascending; where lengths vary, the longest.
        shortest: (L,) the shortest: `timesteps`, or that of training where lengths vary in training.
        loss, baseline: (L,) each.
        metrics: Metric -> (L,).
        measure: What the loss is, with its unit.
        solved: Per length, whether the task's success rule is met.
        trained: Shortest and longest length trained on.
    """

    timesteps: NDArray[np.int64]
    shortest: NDArray[np.int64]
    loss: Numbers
    baseline: Numbers
    metrics: Mapping[str, Numbers]
    measure: str
    solved: tuple[bool, ...]
    trained: tuple[int, int]


@final
class OtherLengths(AbstractDiagnosis[Lengths]):
    """The score from half to ten times the longest trained length, as far as the task has such sequences.

    Where lengths vary in training, the shortest stays what it was: a task may place its symbols by it.
    """

    position = 70
    is_in_report = True
    title = "Other lengths than trained"
    caption = (
        "The loss on fresh sequences from half to ten times the longest trained length; where lengths vary in "
        "training, from the shortest of these on. Low everywhere: the network has learned the rule. Low up to the "
        "trained length alone: it has learned that length."
    )

    def compute(self, inspected: Inspected) -> Lengths | None:
        own = inspected.run.experiment()
        trained, arrays = own.timesteps, {name: np.asarray(array) for name, array in inspected.arrays.items()}
        model = own.build_backend().build(inspected.network, parameters=arrays)
        wanted = sorted({trained[0], *(max(1, round(share * trained[1])) for share in _MULTIPLES)})
        scores = []
        for length in wanted:
            start = min(trained[0], length) if trained[0] < trained[1] else length
            with suppress(UsageError, ConfigError):
                changes = [f"shape.timesteps=[{start}, {length}]", f"evaluation.sequences={_SEQUENCES}"]
                experiment = inspected.run.experiment(changes)
                scores.append((length, start, *score(experiment, experiment.build_task(), model)))
        if not scores:
            return None
        longest, shortest, metrics, baselines, solved = zip(*scores, strict=True)
        names = [name for name in metrics[0] if name != "loss"]
        return Lengths(
            timesteps=np.array(longest),
            shortest=np.array(shortest),
            loss=np.array([one["loss"] for one in metrics]),
            baseline=np.array(baselines, np.float64),  # nan where none is known
            metrics={name: np.array([one[name] for one in metrics]) for name in names},
            measure=LOSSES[inspected.task.loss].title,
            solved=tuple(solved),
            trained=trained,
        )

    def sentences(self, found: Lengths) -> list[str]:
        at = [length for length, solved in zip(_named(found), found.solved, strict=True) if solved]
        where = f"T={', '.join(at)}" if at else "none of these lengths"
        return [f"Trained on T={range_text(found.trained)}, the task is solved at {where}."]

    def table(self, found: Lengths) -> Table:
        scores = [one.tolist() for one in (found.loss, found.baseline, *found.metrics.values())]
        rows = zip(_named(found), *scores, found.solved, strict=True)
        return table(["T", "loss", "baseline", *found.metrics, "solved"], rows)

    def panels(self, found: Mapping[str, Lengths]) -> list[Panel]:
        first = next(iter(found.values()))
        lines = [
            Line(heading, one.timesteps, one.loss, place, marker=place)
            for place, (heading, one) in enumerate(found.items())
        ]
        if np.isfinite(first.baseline).all():
            lines.append(Line("baseline", first.timesteps, first.baseline, GREY, 2))
        values = [float(value) for line in lines for value in line.y if np.isfinite(value)]
        ticks = [f"{length:,}" for length in first.timesteps]
        x = Axis("longest sequence T, steps", log=True, ticks=first.timesteps, tick_labels=ticks)
        y = Axis(f"loss: {first.measure}", log=bool(values) and min(values) > 0)
        levels = [Level(length, "trained", "x") for length in dict.fromkeys(first.trained)]
        return [Panel(x, y, lines, levels)]


def _named(found: Lengths) -> list[str]:
    return [range_text(ends) for ends in zip(found.shortest.tolist(), found.timesteps.tolist(), strict=True)]


DIAGNOSIS = OtherLengths()
