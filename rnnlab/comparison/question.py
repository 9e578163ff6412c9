"""What runs were asked to do, in the words of the cards of their task and their cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from rnnlab.cells import CELLS
from rnnlab.comparison.comparability import one_definition
from rnnlab.core.errors import RnnlabError
from rnnlab.core.losses import LOSSES
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
class Question:
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


def question_of(results: Sequence[Run]) -> Question | None:
    """Return what was asked; None where that were several tasks, or one that this rnnlab cannot build."""
    if len({result.config.get("task.type") for result in results}) != 1:
        return None
    try:
        experiment = results[0].experiment()
        task, lengths = experiment.build_task(), experiment.timesteps
    except RnnlabError:
        return None
    references = task.references(lengths) if one_definition(results) else ()
    return Question(
        task=task.name,
        title=task.card.title,
        definition=task.card.definition,
        source=task.card.source,
        solved=str(task.solved),
        loss=LOSSES[task.loss].title,
        references=tuple((one.name, one.loss) for one in references if one.needs_memory),
        cells=tuple(_cells(results)),
    )


def _cells(results: Sequence[Run]) -> list[CellCard]:
    names = sorted({str(result.config.get("cell.type")) for result in results})
    known = CELLS.members()
    kinds = [known[name] for name in names if name in known]
    return [CellCard(kind.name, kind.title, kind.equations, kind.memory) for kind in kinds]
