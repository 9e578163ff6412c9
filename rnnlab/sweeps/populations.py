"""Which trials of a sweep a worker trains side by side: those that differ only in numbers such as the seed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, final

from rnnlab.config.blocks import SweepOptions
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.errors import RnnlabError
from rnnlab.storage.jsonfile import flatten
from rnnlab.sweeps.folder import SweepFolder
from rnnlab.sweeps.plan import CheckedSweep, Plan, Trial

# Keys of which another number changes no shape and no equation.
_NUMBERS = (
    "training.optimizer.", "training.schedule.", "training.clip_", "training.steps", "training.stream",
    "training.evaluate_", "training.stop_", "training.checkpoint.", "training.max_seconds", "cell.initializers.",
    "evaluation.", "logging.",
)  # fmt: skip


def differences(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return which values of a trial keep it from being trained beside one that has others.

    Example:
        >>> differences({"seed": 3, "training.optimizer.learning_rate": 0.1, "cell.type": "carry", "cell.units": 4})
        {'cell.type': 'carry', 'cell.units': 4}
        >>> differences({"training.optimizer": {"type": "sgd", "learning_rate": 0.1}, "cell.forget_bias": 1.0})
        {'training.optimizer.type': 'sgd'}
    """
    return {key: value for key, value in flatten(dict(values)) if not _is_number(key, value)}


def _is_number(key: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return key == "seed" or key.startswith(_NUMBERS) or key.endswith("_bias")


def group_of(trial: Trial) -> str:
    """Return what is the same for all trials that may be trained beside this one, as a text."""
    return _group(json.dumps(trial.values))


@cache
def _group(values: str) -> str:
    return json.dumps(differences(json.loads(values)))


def most_at_once(experiment: Experiment, options: SweepOptions) -> int:
    """Return how many trials like this a worker trains side by side, at most."""
    if options.population == "off" or options.method == "tpe":  # a search learns from each trial before the next
        return 1
    if options.population != "auto":
        return options.population
    backend = experiment.build_backend()
    return backend.population(experiment.network(), experiment.recipe(), batch_size=experiment.training.batch_size)


@final
@dataclass(frozen=True, slots=True)
class Group:
    """Some trials of a sweep that differ only in numbers.

    Attributes:
        trials: Their names, in order.
        shared: The values that keep them from the other groups.
        together: How many of them a worker trains side by side, at most.
    """

    trials: tuple[str, ...]
    shared: Mapping[str, Any]
    together: int


def groups(checked: CheckedSweep) -> list[Group]:
    """Return the groups of a sweep, in the order of the plan."""
    found: dict[str, list[Trial]] = {}
    for trial in checked.plan.trials:
        found.setdefault(group_of(trial), []).append(trial)
    return [
        Group(
            tuple(trial.name for trial in trials),
            differences(trials[0].values),
            min(len(trials), most_at_once(checked.experiments[trials[0].name], checked.plan.options)),
        )
        for trials in found.values()
    ]


@final
class Populations:
    """How many trials of each group of a sweep a worker trains side by side.

    Args:
        sweep: The sweep.
        plan: Its plan.
    """

    def __init__(self, sweep: SweepFolder, plan: Plan) -> None:
        self._sweep, self._options = sweep, plan.options
        self._sizes: dict[str, int] = {}

    def most(self, trial: Trial) -> int:
        """Return how many trials of this one's group a worker trains at once, at most."""
        group = group_of(trial)
        if group not in self._sizes:
            try:
                experiment = load_experiment(self._sweep.config(trial)).experiment
                self._sizes[group] = most_at_once(experiment, self._options)
            except RnnlabError:  # the worker reports it
                return 1
        return self._sizes[group]
