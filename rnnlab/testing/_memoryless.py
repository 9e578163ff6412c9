"""A search for a predictor without memory that is better than a task's baseline: constant, bins, linear, network.

Each is fitted to training sequences and scored on validation sequences; a task without parts draws both from streams of
their own. What it sees is the input of the step that it answers, and nothing of how many steps there were before.
"""

from collections.abc import Callable, Iterator

import numpy as np

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.errors import VerificationError
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask
from rnnlab.testing._measuring import Measured, at_scored, batches

Predictor = Callable[[Array], Array]  # from what is seen, (N, I), to raw outputs, (N, O)


def search(
    task: AbstractTask, timesteps: Lengths, *, fitted: int = 6000, scored: int = 6000, updates: int = 250
) -> None:
    """Pass if no predictor, each fitted to `fitted` scored steps and measured on `scored` ones, beats the baseline.

    Raises:
        VerificationError: One does.
    """
    seen, targets = _present(task.part("train"), timesteps, fitted, name="search/fit")
    predictors = {
        "constant": _linear(task, np.zeros_like(seen), targets, given=lambda x: np.zeros_like(x)),
        "bins": _bins(task, seen, targets),
        "linear": _linear(task, seen, targets, given=lambda x: x),
        "network": _network(task, seen, targets, updates=updates),
    }
    scoring = task.part("validation")
    if (stated := scoring.baseline(timesteps)) is None:
        return
    for name, predict in predictors.items():
        found = Measured()
        for batch in _drawn(scoring, timesteps, scored, name="search/score"):
            found.add(task, predict(batch.inputs[batch.mask]), batch)
        if not found.loss > stated - 3 * found.error - 1e-9:
            problem = f"without memory, a fitted {name} has the loss {found.loss:.6g} ± {found.error:.2g}"
            raise VerificationError(f"{problem}, below the baseline {stated:.6g}", where=type(task).__name__)


def _present(task: AbstractTask, timesteps: Lengths, steps: int, *, name: str) -> tuple[Array, Array]:
    """The inputs of scored steps and their targets."""
    drawn = _drawn(task, timesteps, steps, name=name)
    inputs, targets = zip(*((one.inputs[one.mask], at_scored(task, one.targets, one)) for one in drawn), strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


def _drawn(task: AbstractTask, timesteps: Lengths, steps: int, *, name: str) -> Iterator[Batch]:
    sequences = max(60, steps // timesteps[1]) if task.return_sequences else steps
    return batches(task, timesteps, sequences, name=name, seed=11)


def _bins(task: AbstractTask, seen: Array, targets: Array) -> Predictor:
    """The mean target, or the frequencies, of each bin: of each symbol, else of 40 quantiles of the best feature."""
    values, place = np.unique(seen, axis=0, return_inverse=True)
    if len(values) <= 300:
        table = _answers(task, place.ravel(), targets, len(values))
        known = {row.tobytes(): n for n, row in enumerate(values)}
        return lambda given: table[[known.get(row.tobytes(), len(values)) for row in given]]
    edges = np.quantile(seen, np.linspace(0, 1, 41)[1:-1], axis=0)

    def of_feature(k: int) -> Predictor:
        table = _answers(task, np.searchsorted(edges[:, k], seen[:, k]), targets, 40)
        return lambda given: table[np.searchsorted(edges[:, k], given[:, k])]

    tried = [of_feature(k) for k in range(seen.shape[1])]
    return min(tried, key=lambda predict: LOSSES[task.loss].values(predict(seen), targets).mean())


def _answers(task: AbstractTask, place: Array, targets: Array, count: int) -> Array:
    """The best raw outputs of each bin, (count + 1, O): half a sequence of the overall mean is added to each."""
    if LOSSES[task.loss].integer_targets:
        targets = np.eye(task.output_features)[targets]
    overall = targets.mean(axis=0)
    sums = np.zeros((count + 1, targets.shape[1]))
    np.add.at(sums, place, targets)
    found = (sums + 0.5 * overall) / (np.bincount(place, minlength=count + 1)[:, None] + 0.5)
    if task.loss == "mse":
        return np.asarray(found)
    found = np.clip(found, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(found) if task.loss == "cross_entropy" else np.log(found / (1 - found)))


def _linear(task: AbstractTask, seen: Array, targets: Array, *, given: Predictor) -> Predictor:
    """By Newton steps of a fixed curvature: no loss is more curved than the squared error, whose derivative is 2."""
    known = np.insert(seen, 0, 1.0, axis=1)
    pull = 0.5 * np.linalg.inv(known.T @ known + 1e-4 * len(known) * np.eye(known.shape[1])) @ known.T
    weights = np.zeros((known.shape[1], task.output_features))
    for _ in range(40):
        weights -= pull @ LOSSES[task.loss].gradient(known @ weights, targets)
    return lambda x: np.insert(given(x), 0, 1.0, axis=1) @ weights


def _network(task: AbstractTask, seen: Array, targets: Array, *, updates: int) -> Predictor:
    """One hidden layer of 32 tanh units, by Adam on batches of 200, its rate decaying to 0."""
    rng, outputs = stream(5, "search/network"), task.output_features
    shapes = [(seen.shape[1], 32), (32,), (32, outputs), (outputs,)]
    weights = [rng.normal(size=shape) / np.sqrt(shape[0]) if len(shape) == 2 else np.zeros(shape) for shape in shapes]
    mean, square = [np.zeros(shape) for shape in shapes], [np.zeros(shape) for shape in shapes]
    for n in range(1, updates + 1):
        rows = rng.integers(0, len(seen), size=200)
        x, hidden, raw = _forward(weights, seen[rows])
        at_raw = LOSSES[task.loss].gradient(raw, targets[rows]) / len(rows)
        at_hidden = at_raw @ weights[2].T * (1 - hidden**2)
        slopes = [x.T @ at_hidden, at_hidden.sum(axis=0), hidden.T @ at_raw, at_raw.sum(axis=0)]
        rate = 0.01 * (1 - (n - 1) / updates) * np.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        for weight, slope, first, second in zip(weights, slopes, mean, square, strict=True):
            first[...] += 0.1 * (slope - first)
            second[...] += 0.001 * (slope**2 - second)
            weight[...] -= rate * first / (np.sqrt(second) + 1e-8)
    return lambda given: _forward(weights, given)[2]


def _forward(weights: list[Array], seen: Array) -> tuple[Array, Array, Array]:
    hidden = np.tanh(seen @ weights[0] + weights[1])
    return seen, hidden, hidden @ weights[2] + weights[3]
