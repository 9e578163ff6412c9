"""Scoring a trained run again: on fresh sequences of the same definition, at other lengths, with other weights."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal, get_args

from rnnlab.backends.base import AbstractModel
from rnnlab.config.experiment import Experiment
from rnnlab.config.overrides import Overrides, override_texts
from rnnlab.core.arguments import require_one_of
from rnnlab.core.batch import range_text
from rnnlab.core.errors import UsageError
from rnnlab.runs.find import open_run
from rnnlab.runs.rebuild import flat_description
from rnnlab.runs.run import Run, Which
from rnnlab.runs.unchanged import require_same_data
from rnnlab.storage.fields import storable
from rnnlab.tasks.base import AbstractTask, NoRule
from rnnlab.training.validation import scored_set

Stream = Literal["test", "validation"]
_HINT = "evaluate may change shape.timesteps, task, seed and evaluation; train a new run for the rest"


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """A run's score.

    Attributes:
        run: The run.
        experiment: What was evaluated: the run's own, with the overrides.
        weights: Which weights.
        step: The training step they are of.
        stream: What was scored: sequences of the `test` stream, or the `validation` set that chose the best weights.
        metrics: `loss` and the task's metrics.
        baseline: The loss of the best predictor without memory, at these lengths; None where it is not known.
        solved: Whether these sequences meet the task's success rule; None where it has none.
        seconds: How long it took.
    """

    run: Run
    experiment: Experiment
    weights: Which
    step: int
    stream: Stream
    metrics: Mapping[str, float]
    baseline: float | None
    solved: bool | None
    seconds: float

    def __repr__(self) -> str:
        solved = {True: ", solved", False: ", not solved", None: ""}[self.solved]
        baseline = "" if self.baseline is None else f", baseline={self.baseline:.4g}"
        scores = f"loss={self.metrics['loss']:.4g}{baseline}{solved}"
        return f"<Evaluation of {self.run.name}: {self.weights} weights, {self.sequences_in_words}: {scores}>"

    @property
    def sequences_in_words(self) -> str:
        """What was scored, e.g. `1,000 test sequences of adding@urnn, T=30`."""
        count, lengths = self.experiment.evaluation.sequences, f"T={range_text(self.experiment.timesteps)}"
        return f"{count:,} {self.stream} sequence{'s' * (count != 1)} of {self.experiment.task_name}, {lengths}"


def evaluate(
    run: Run | str | Path,
    overrides: Overrides = (),
    *,
    weights: Which = "best",
    sequences: int | None = None,
    on: Stream = "test",
    figures: Mapping[str, float] | None = None,
) -> Evaluation:
    """Score a run and append the score to its evaluations; its training record is never touched.

    Args:
        run: The run, or its path or name.
        overrides: Changes to its config, `{"shape.timesteps": 400}` or `["shape.timesteps=400"]`. The network itself
            cannot be changed.
        weights: `best` by validation loss, or `last`.
        sequences: How many to score; the run's own number when left out.
        on: `test`: sequences that played no part in the training; of a task with parts, of its test part.
            `validation`: those by which the best weights were chosen.
        figures: Further numbers of these weights to store with the score.

    Raises:
        ConfigError: An override cannot be applied.
        UsageError: An override would change the network, or nothing that an evaluation looks at; or there are no such
            weights or sequences.
        RunNotFoundError: There is no such run.
        VerificationError: The weights are damaged, or of another network; or the task's file is no longer the same.
    """
    require_one_of("on", on, get_args(Stream))
    run = open_run(run)
    _ = run.status  # a run whose status is damaged gets no further record
    more = [] if sequences is None else [f"evaluation.sequences={sequences}"]
    asked = override_texts(overrides)
    experiment = run.experiment([*asked, *more])
    own = run.experiment()  # second, so that the options of a cell in a file are of one class
    task = experiment.build_task()
    network = experiment.network()
    require_same_training(own, experiment)
    if experiment.task.definition() == own.task.definition():
        require_same_data(run, task)
    arrays = run.weights(weights)
    if arrays.scaling:  # that of the network, whatever file it reads
        task = task.with_scaling(arrays.scaling)
    model = experiment.build_backend().build(network, parameters=arrays)
    began = time.perf_counter()
    metrics, baseline, solved = score(experiment, task, model, on)
    seconds = time.perf_counter() - began
    record = {
        "step": arrays.step,
        "weights": weights,
        "task": experiment.task_name,
        "shortest": experiment.timesteps[0],
        "longest": experiment.timesteps[1],
        "sequences": experiment.evaluation.sequences,
        "seed": experiment.seed,
        "stream": on,
        "baseline": baseline,
        "solved": solved,
        "seconds": round(seconds, 3),
        **({"overrides": recorded(asked)} if asked else {}),
    }
    with run.folder.evaluations_writer(run.id) as writer:
        writer.write({**record, **metrics, **(figures or {})})
        writer.sync()
    return Evaluation(run, experiment, weights, arrays.step, on, metrics, baseline, solved, seconds)


def recorded(overrides: Overrides) -> str:
    """Return overrides as a record of an evaluation has them."""
    return storable(" ".join(override_texts(overrides)))


def score(
    experiment: Experiment, task: AbstractTask, model: AbstractModel, on: Stream = "test"
) -> tuple[Mapping[str, float], float | None, bool | None]:
    """Return metrics and baseline of the test sequences of an experiment, and whether they meet the success rule.

    Raises:
        UsageError: The task has no such sequences.
    """
    count = experiment.evaluation.sequences
    chosen = task.part(on)
    sequences = scored_set(experiment, task, on)
    with experiment.build_backend().running():
        metrics = sequences.score(model)
    rule = chosen.rule(experiment.timesteps)
    solved = None if isinstance(rule, NoRule) else rule.is_met(metrics, count)
    return metrics, chosen.baseline(experiment.timesteps), solved


def require_same_training(own: Experiment, asked: Experiment) -> None:
    """Pass if an experiment differs from the one that was trained in nothing but what is scored.

    Raises:
        UsageError: It has another network, or was trained otherwise.
    """
    before, after = (flat_description(one.network().describe()) for one in (own, asked))
    for key in before | after:
        if (was := before.get(key)) != (now := after.get(key)):
            raise UsageError(f"--set would change the network: {key} from {was} to {now}", hint=_HINT)
    for key in ("name", "cell", "training.optimizer", "training.schedule", "training"):
        if attrgetter(key)(own) != attrgetter(key)(asked):
            raise UsageError(f"--set changes {key}, which has no part in an evaluation", hint=_HINT)
