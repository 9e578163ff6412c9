"""No predictor that sees only the present step beats the stated baseline of a task: constant, bins, linear, network.

Each is fitted to training sequences and scored on validation sequences; a task without parts draws both from streams of
their own. What it sees is the input of the step that it answers, and nothing of how many steps there were before.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnlab.core.batch import Array, Batch, Lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.tasks._csv_options import CsvFile
from rnnlab.tasks.base import AbstractTask
from rnnlab.tasks.forecast import Forecast, ForecastOptions
from rnnlab.tasks.parity import Parity
from tests.small import needs_pandas
from tests.tasks.drawing import NUMBERS, Measured, short_lengths

Predictor = Callable[[Array], Array]  # from what is seen, (N, I), to raw outputs, (N, O)
FITTED, SCORED = 6000, 6000  # scored steps


def test_no_search_beats_the_baseline(task: AbstractTask) -> None:
    task = with_few_symbols(task)
    search(task, short_lengths(task), fitted=FITTED, scored=SCORED, updates=250)


@pytest.mark.soak
@pytest.mark.parametrize("case", ["default", "short"])
def test_no_long_search_beats_the_baseline(task: AbstractTask, case: str) -> None:
    task = with_few_symbols(task)
    timesteps = task.default_timesteps if case == "default" else short_lengths(task)
    search(task, timesteps, fitted=60_000, scored=100_000, updates=4000)


def with_few_symbols(task: AbstractTask) -> AbstractTask:
    """As many as a short string has steps, where there would be a hundred."""
    return type(task)(type(task).Options(symbols=12)) if task.input_features > 100 else task  # type: ignore[call-arg]


@pytest.mark.parametrize(("timesteps", "baseline"), [((1, 1), 0.0), ((1, 20), 0.6919), ((2, 20), 0.6931)])
def test_parity_of_a_single_bit_needs_no_memory(timesteps: Lengths, baseline: float) -> None:
    """0.6919 = H(0.525): one length of twenty is 1, where the bit is the parity."""
    task = Parity(Parity.Options())
    assert task.baseline(timesteps) == pytest.approx(baseline, abs=5e-5)
    search(task, timesteps, fitted=20_000, scored=100_000, updates=250)


@needs_pandas
def test_no_search_beats_the_baseline_of_a_file(tmp_path: Any) -> None:
    """The next row depends on the present one through a curve, which the last value and a straight line miss."""
    x = np.zeros((3000, 2))
    noise = stream(0, "file").normal(size=x.shape)
    for t in range(1, len(x)):
        x[t] = np.sin(2 * x[t - 1, ::-1]) + 0.4 * noise[t]
    (tmp_path / "x.csv").write_text("\n".join(",".join(map(repr, row)) for row in x.tolist()))
    task = Forecast(ForecastOptions(csv=CsvFile(path=str(tmp_path / "x.csv"), target=0)))
    unpredictable = np.square(0.4 * noise[2251:2625, 0]).mean() / x[:2250, 0].var()  # of the validation rows
    assert unpredictable < task.baseline((1, 1)) < 1.05 * unpredictable
    search(task, (1, 1), fitted=2000, scored=6000, updates=250)


def test_predictors_without_memory_see_the_present_alone(task: AbstractTask) -> None:
    """With the answered steps in another order, or other sequences before the last step, they answer the same."""
    longest = short_lengths(task)[1]
    timesteps = (longest, longest) if task.timesteps_fault((longest, longest)) is None else task.default_timesteps
    batch = task.sample(stream(12, "batch"), batch_size=40, timesteps=timesteps)
    order = np.tile(np.arange(batch.mask.shape[1]), (batch.size, 1))
    inputs = batch.inputs.copy()
    if task.return_sequences:
        for row, mask in enumerate(batch.mask):
            order[row, mask] = stream(12, "order", row).permutation(np.flatnonzero(mask))
        inputs = np.take_along_axis(inputs, order[:, :, None], axis=1)
    else:
        inputs[:, :-1] = np.roll(inputs[:, :-1], 1, axis=0)
    other = dataclasses.replace(batch, inputs=inputs)
    for reference in task.references(short_lengths(task)):
        before, after = reference.predict(batch), reference.predict(other)
        expected = np.take_along_axis(before, order[:, :, None], axis=1) if task.return_sequences else before
        scored = batch.mask if task.return_sequences else slice(None)
        is_same = np.allclose(np.broadcast_to(after, expected.shape)[scored], expected[scored], atol=1e-9)
        assert is_same is not reference.needs_memory, reference.name


def search(task: AbstractTask, timesteps: Lengths, *, fitted: int, scored: int, updates: int) -> None:
    seen, targets = present(task.part("train"), timesteps, fitted, name="search/fit")
    predictors = {
        "constant": linear(task, np.zeros_like(seen), targets, given=lambda x: np.zeros_like(x)),
        "bins": bins(task, seen, targets),
        "linear": linear(task, seen, targets, given=lambda x: x),
        "network": network(task, seen, targets, updates=updates),
    }
    stated, scoring = task.part("validation").baseline(timesteps), task.part("validation")
    for name, predict in predictors.items():
        found = Measured()
        for batch in drawn(scoring, timesteps, scored, name="search/score"):
            found.add(task, outputs_at_scored(task, predict, batch), batch)
        assert found.loss > stated - 3 * found.error - 1e-9, f"{name}: {found.loss} ± {found.error}, stated {stated}"


def present(task: AbstractTask, timesteps: Lengths, steps: int, *, name: str) -> tuple[Array, Array]:
    """The inputs of scored steps and their targets."""
    both = [
        (batch.inputs[batch.mask], scored_targets(task, batch)) for batch in drawn(task, timesteps, steps, name=name)
    ]
    inputs, targets = zip(*both, strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


def drawn(task: AbstractTask, timesteps: Lengths, steps: int, *, name: str) -> list[Batch]:
    sequences = max(60, steps // timesteps[1]) if task.return_sequences else steps
    size = max(1, min(sequences, NUMBERS // (timesteps[1] * task.input_features)))
    return [
        task.sample(stream(11, name, n), batch_size=min(size, sequences - first), timesteps=timesteps)
        for n, first in enumerate(range(0, sequences, size))
    ]


def scored_targets(task: AbstractTask, batch: Batch) -> Array:
    return batch.targets[batch.mask] if task.return_sequences else batch.targets


def outputs_at_scored(task: AbstractTask, predict: Predictor, batch: Batch) -> Array:
    found = predict(batch.inputs[batch.mask])
    if not task.return_sequences:
        return found
    outputs = np.zeros((*batch.mask.shape, task.output_features))
    outputs[batch.mask] = found
    return outputs


def bins(task: AbstractTask, seen: Array, targets: Array) -> Predictor:
    """The mean target, or the frequencies, of each bin: of each symbol, else of 40 quantiles of the best feature."""
    values, place = np.unique(seen, axis=0, return_inverse=True)
    if len(values) <= 300:
        table = answers(task, place.ravel(), targets, len(values))
        known = {row.tobytes(): n for n, row in enumerate(values)}
        return lambda given: table[[known.get(row.tobytes(), len(values)) for row in given]]
    edges = np.quantile(seen, np.linspace(0, 1, 41)[1:-1], axis=0)

    def of_feature(k: int) -> Predictor:
        table = answers(task, np.searchsorted(edges[:, k], seen[:, k]), targets, 40)
        return lambda given: table[np.searchsorted(edges[:, k], given[:, k])]

    tried = [of_feature(k) for k in range(seen.shape[1])]
    return min(tried, key=lambda predict: LOSSES[task.loss].values(predict(seen), targets).mean())


def answers(task: AbstractTask, place: Array, targets: Array, count: int) -> Array:
    """The best raw outputs of each bin, (count + 1, O): half a sequence of the overall mean is added to each."""
    if LOSSES[task.loss].integer_targets:
        targets = np.eye(task.output_features)[targets]
    overall = targets.mean(axis=0)
    sums = np.zeros((count + 1, targets.shape[1]))
    np.add.at(sums, place, targets)
    found = (sums + 0.5 * overall) / (np.bincount(place, minlength=count + 1)[:, None] + 0.5)
    if task.loss == "mse":
        return found
    found = np.clip(found, 1e-12, 1 - 1e-12)
    return np.log(found) if LOSSES[task.loss].integer_targets else np.log(found / (1 - found))


def linear(task: AbstractTask, seen: Array, targets: Array, *, given: Predictor) -> Predictor:
    """By Newton steps of a fixed curvature: no loss is more curved than the squared error, whose derivative is 2."""
    known = np.insert(seen, 0, 1.0, axis=1)
    pull = 0.5 * np.linalg.inv(known.T @ known + 1e-4 * len(known) * np.eye(known.shape[1])) @ known.T
    weights = np.zeros((known.shape[1], task.output_features))
    for _ in range(40):
        weights -= pull @ LOSSES[task.loss].gradient(known @ weights, targets)
    return lambda x: np.insert(given(x), 0, 1.0, axis=1) @ weights


def network(task: AbstractTask, seen: Array, targets: Array, *, updates: int) -> Predictor:
    """One hidden layer of 32 tanh units, by Adam on batches of 200, its rate decaying to 0."""
    rng, outputs = stream(5, "search/network"), task.output_features
    shapes = [(seen.shape[1], 32), (32,), (32, outputs), (outputs,)]
    weights = [rng.normal(size=shape) / np.sqrt(shape[0]) if len(shape) == 2 else np.zeros(shape) for shape in shapes]
    mean, square = [np.zeros(shape) for shape in shapes], [np.zeros(shape) for shape in shapes]
    for n in range(1, updates + 1):
        rows = rng.integers(0, len(seen), size=200)
        x, hidden, raw = forward(weights, seen[rows])
        at_raw = LOSSES[task.loss].gradient(raw, targets[rows]) / len(rows)
        at_hidden = at_raw @ weights[2].T * (1 - hidden**2)
        slopes = [x.T @ at_hidden, at_hidden.sum(axis=0), hidden.T @ at_raw, at_raw.sum(axis=0)]
        rate = 0.01 * (1 - (n - 1) / updates) * np.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        for weight, slope, first, second in zip(weights, slopes, mean, square, strict=True):
            first[...] += 0.1 * (slope - first)
            second[...] += 0.001 * (slope**2 - second)
            weight[...] -= rate * first / (np.sqrt(second) + 1e-8)
    return lambda given: forward(weights, given)[2]


def forward(weights: list[Array], seen: Array) -> tuple[Array, Array, Array]:
    hidden = np.tanh(seen @ weights[0] + weights[1])
    return seen, hidden, hidden @ weights[2] + weights[3]
