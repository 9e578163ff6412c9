"""The pages of the Python API and of the Keras layers: which objects they have; Sphinx reads their docstrings."""

from typing import get_args

import rnnlab
from rnnlab.cells import CELLS
from rnnlab.core.errors import RnnlabError
from rnnlab.sweeps import runner
from rnnlab.training import events as training

_PYTHON = """\
# The Python API

`import rnnlab` offers the functions below. They do what the commands of the same names do, and raise the errors at the
end of this page where a command prints one. The [how-to](../how_to/notebooks.md) shows them at work.
"""
_KERAS = """\
# The Keras layers

Every cell is a Keras layer, usable in any Keras model: `from rnnlab.backends.keras import Carry, CarryCell`.
`Carry(64)(x)` is `keras.layers.RNN(CarryCell(64))(x)`. The layer computes a sequence with the gradient that is
derived from the cell's equation; the cell is one step. A saved model is loaded by Keras where
`rnnlab.backends.keras.layers` was imported.

These classes exist, and each takes the arguments of `EquationRNN` or `EquationCell` below without the first:

"""
_CONTRACTS = """\
# What a cell, a task, a rule or a diagnosis must have

The base classes of everything that is added by one file, in this repository or in a package of yours. The tutorials
on [a cell](../tutorial/your_cell.md) and [a task](../tutorial/your_task.md) and the [how-to on
plug-ins](../how_to/plug_ins.md) show them at work.
"""
_RESULTS = (
    "rnnlab.storage.summary.Summary", "rnnlab.storage.summary.Best", "rnnlab.storage.summary.SolvedAt",
    "rnnlab.storage.status.Status", "rnnlab.inspection.evaluate.Evaluation", "rnnlab.inspection.diagnoses.Diagnosis",
    "rnnlab.inspection.export.Export", "rnnlab.inspection.predict.Forecasts",
    "rnnlab.inspection.predict.SeriesForecast", "rnnlab.sweeps.status.SweepStatus", "rnnlab.sweeps.status.TrialStatus",
    "rnnlab.comparison.groups.Group", "rnnlab.comparison.contrasts.Contrast", "rnnlab.config.experiment.Experiment",
    "rnnlab.backends.base.AbstractModel", "rnnlab.backends.base.Prediction",
)  # fmt: skip
_BASES = {
    "Cells": ("cells.base.AbstractCell", "cells.base.CellOptions", "cells.base.Step", "core.parameters.Parameter"),
    "Tasks": (
        "tasks.base.AbstractTask", "tasks.base.TaskOptions", "tasks.base.Published",
        "tasks.base.Reference", "core.batch.Batch",
    ),
    "Optimisers": ("optim.rules.base.AbstractOptimizer", "optim.rules.base.OptimizerOptions"),
    "Schedules": ("optim.schedules.base.AbstractSchedule", "optim.schedules.base.ScheduleOptions"),
    "Diagnoses": ("inspection.diagnoses.base.AbstractDiagnosis", "inspection.diagnoses.base.Inspected"),
    "Options": ("core.options.Options",),
}  # fmt: skip


def python() -> str:
    """Return the page of the Python API."""
    names = [name for name in rnnlab.__all__ if not name.startswith("_")]
    functions = [f"rnnlab.{name}" for name in names if not isinstance(getattr(rnnlab, name), type)]
    parts = [_PYTHON, "## Functions\n", *(_directive("autofunction", name) for name in functions)]
    parts += [
        "## Runs\n",
        *(_directive("autoclass", f"rnnlab.{name}", "members") for name in names if name[0].isupper()),
    ]
    parts += ["## What they return\n", *(_directive("autoclass", name, "members") for name in _RESULTS)]
    for title, events in (("training", training.Event), ("sweep", runner.Event)):
        kinds = [f"{kind.__module__}.{kind.__name__}" for kind in get_args(events)]
        parts += [f"## Events of a {title}\n", *(_directive("autoclass", name, "members") for name in kinds)]
    errors = sorted((RnnlabError, *RnnlabError.__subclasses__()), key=lambda one: one.exit_code)
    parts += ["## Errors\n", *(_directive("autoexception", f"{one.__module__}.{one.__name__}") for one in errors)]
    return "\n".join(parts)


def contracts() -> str:
    """Return the page of the base classes."""
    parts = [_CONTRACTS]
    for title, names in _BASES.items():
        parts += [f"## {title}\n", *(_directive("autoclass", f"rnnlab.{name}", "members") for name in names)]
    return "\n".join(parts)


def keras_layers() -> str:
    """Return the page of the Keras layers."""
    names = ["".join(part.capitalize() for part in cell.split("_")) for cell in CELLS.names()]
    lines = [
        f"- `{name}`, `{name}Cell`: the cell [{cell}](cells.md#{cell})\n"
        for name, cell in zip(names, CELLS.names(), strict=True)
    ]
    layers = ("EquationRNN", "EquationCell")
    return "\n".join(
        [_KERAS + "".join(lines), *(_directive("autoclass", f"rnnlab.backends.keras.layers.{name}") for name in layers)]
    )


def _directive(kind: str, name: str, *options: str) -> str:
    return "\n".join([f"```{{eval-rst}}\n.. {kind}:: {name}", *(f"   :{option}:" for option in options), "```\n"])
