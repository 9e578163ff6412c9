"""The task and the cells of some runs, in the words of their cards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.cells import CELLS
from rnnlab.comparison.comparability import is_one_task
from rnnlab.core.errors import RnnlabError
from rnnlab.core.losses import LOSSES
from rnnlab.core.text import docstring_section
from rnnlab.runs.run import Run


@final
@dataclass(frozen=True, slots=True)
class CellCard:
    """A cell: its name, title and equations, and how it remembers."""

    name: str
    title: str
    equations: str
    memory: str


@final
@dataclass(frozen=True, slots=True)
class Description:
    """One task, and the cells that were trained on it.

    Attributes:
        task: Its full name.
        title, definition, source: Of its card.
        solved: What counts as solved, in words.
        loss: What the loss is, with its unit.
        references: Name and loss of each reference predictor that needs memory; none where the lengths differ.
        cells: The cells.
    """

    task: str
    title: str
    definition: str
    source: str
    solved: str
    loss: str
    references: tuple[tuple[str, float], ...]
    cells: tuple[CellCard, ...]


def describe(runs: Sequence[Run]) -> Description | None:
    """Return the description of runs; None for several tasks, or one that this rnnlab cannot build."""
    if len({run.config.get("task.type") for run in runs}) != 1:
        return None
    try:
        experiment = runs[0].experiment()
        task, lengths = experiment.build_task(), experiment.timesteps
    except RnnlabError:
        return None
    references = task.references(lengths) if is_one_task(runs) else ()
    return Description(
        task=task.name,
        title=task.card.title,
        definition=task.card.definition,
        source=docstring_section(type(task), "Source"),
        solved=str(task.solved),
        loss=LOSSES[task.loss].title,
        references=tuple((one.name, one.loss) for one in references if one.needs_memory),
        cells=_cells(runs),
    )


def _cells(runs: Sequence[Run]) -> tuple[CellCard, ...]:
    names = sorted({str(run.config.get("cell.type")) for run in runs})
    known = CELLS.members()
    kinds = [known[name] for name in names if name in known]
    return tuple(CellCard(kind.name, kind.title, kind.equations, kind.memory) for kind in kinds)
