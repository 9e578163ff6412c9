"""Looking into a trained run: its network on fresh sequences, step by step, whichever backend trained it."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import AbstractModel, Network
from rnnlab.backends.numpy.unrolled import Layer, Unrolled, layers_of, unroll
from rnnlab.config.experiment import Experiment
from rnnlab.core.batch import Batch
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.core.streams import stream
from rnnlab.core.text import visible
from rnnlab.inspection.diagnoses.findings import Components, Diagnosis, FixedPoints, Lengths
from rnnlab.inspection.diagnoses.fixed_points import fixed_points
from rnnlab.inspection.diagnoses.gates import gates, retention
from rnnlab.inspection.diagnoses.recurrence import spectra, visited_jacobians
from rnnlab.inspection.diagnoses.states import capacity, components
from rnnlab.runs.stored import Which, experiment_of, load_weights, require_same_data
from rnnlab.storage import RunFolder
from rnnlab.tasks.base import AbstractTask
from rnnlab.training.gradient_flow import gradient_flow
from rnnlab.training.progress import judge
from rnnlab.training.validation import ValidationSet

Array = NDArray[Any]
Kind = Literal["flow", "jacobian", "spectrum", "gates", "states", "lengths", "capacity", "fixed-points"]

KINDS: tuple[Kind, ...] = ("flow", "jacobian", "spectrum", "gates", "states", "lengths", "capacity", "fixed-points")
USUAL = frozenset(KINDS) - {"fixed-points"}

_SEQUENCES = 64
_VISITED = 64  # states at which Jacobians are taken
_STARTS = 256  # of the search for fixed points
_NOISE = 0.05  # of the spread of visited states, by which half of the starts are moved
_MULTIPLES = (0.5, 1, 2, 5, 10)  # of the longest trained length
_SCORED = 100  # sequences a length


def diagnose(
    run: RunFolder,
    kinds: Collection[Kind] = USUAL,
    *,
    weights: Which = "best",
    at_step: int | None = None,
    timesteps: int | None = None,
    sequences: int = _SEQUENCES,
) -> Diagnosis:
    """Return what is found in a run's network; nothing is written.

    Args:
        run: The run.
        kinds: What to look for.
        weights: `best` by validation loss, or `last`.
        at_step: Weights of the checkpoint of this step instead.
        timesteps: The length of the sequences; the longest trained when left out.
        sequences: How many, at least 2.

    Raises:
        UsageError: There is no such checkpoint, or the task has no such sequences.
        VerificationError: The weights are damaged, or the task's file is no longer the same.
    """
    overrides = [] if timesteps is None else [f"shape.timesteps={timesteps}"]
    experiment = experiment_of(run, overrides)
    task = experiment.build_task()
    network = experiment.network(task)
    require_same_data(run, task)
    arrays, step = _arrays(run, network, weights, at_step)
    longest = experiment.timesteps[1]
    layers = layers_of(network, arrays)
    batch = task.part("validation").sample(
        stream(experiment.seed, "diagnosis"), batch_size=sequences, timesteps=experiment.timesteps
    )
    way = unroll(layers, batch.inputs, batch.lengths)
    wanted = set(kinds)
    head = arrays["head.W"], arrays["head.b"]
    drawn = _components(way) if wanted & {"states", "fixed-points"} else {}
    return Diagnosis(
        name=run.name,
        label=run.label,
        step=step,
        weights=weights if at_step is None else f"checkpoint {at_step}",
        timesteps=longest,
        sequences=sequences,
        flow=gradient_flow(way, head, batch, task.loss) if "flow" in wanted else None,
        jacobians=_jacobians(way, experiment.seed) if "jacobian" in wanted else {},
        spectra=spectra(layers) if "spectrum" in wanted else {},
        gates=gates(way) if "gates" in wanted else {},
        retention=retention(way) if "gates" in wanted else {},
        components={name: found[0] for name, found in drawn.items()} if "states" in wanted else {},
        lengths=_lengths(run, network, arrays) if "lengths" in wanted else None,
        capacity=capacity(layers, network.input_features, stream(experiment.seed, "diagnosis", 1))
        if "capacity" in wanted
        else None,
        fixed_points=_fixed_points(way, batch, drawn, experiment.seed) if "fixed-points" in wanted else {},
    )


def _arrays(run: RunFolder, network: Network, weights: Which, at_step: int | None) -> tuple[Mapping[str, Array], int]:
    if at_step is None:
        return load_weights(run, network, weights)
    checkpoints = run.checkpoints()
    there = checkpoints.steps()
    if at_step not in there:
        known = ", ".join(map(str, there)) or "none"
        problem = f"{visible(run.name)} has no checkpoint of step {at_step:,}"
        raise UsageError(problem, where="--at-step", hint=f"checkpoints: {known}; the newest two are kept")
    model = checkpoints.load(at_step).state["model"]
    names = network.parameters()
    return {name: np.asarray(model[f"parameters/{name}"]) for name in names}, at_step


def _components(way: Unrolled) -> dict[str, tuple[Components, Array, Array]]:
    return {
        f"{layer.name}.{name}": components(way, layer.number, name)
        for layer in way.layers
        for name in layer.network.cell.states
    }


def _jacobians(way: Unrolled, seed: int) -> dict[str, Any]:
    at = _visited(way, seed, count=_VISITED, before_end=2)
    return {layer.name: visited_jacobians(way, layer.number, at=at) for layer in way.layers} if len(at) else {}


def _visited(way: Unrolled, seed: int, *, count: int, before_end: int) -> Array:
    """Return sequence and step, (N, 2), of some states that are visited, drawn at random."""
    inside = np.arange(len(way.steps[0])) <= way.lengths[:, None] - before_end
    found = np.argwhere(inside)
    chosen = stream(seed, "diagnosis", 2).permutation(len(found))[:count]
    return np.asarray(found[np.sort(chosen)])


def _fixed_points(
    way: Unrolled, batch: Batch, drawn: Mapping[str, tuple[Components, Array, Array]], seed: int
) -> dict[str, FixedPoints]:
    """Search with no input: in the first layer zeros, above it what the layer below gives at its slowest point."""
    found: dict[str, FixedPoints] = {}
    at = _visited(way, seed, count=_STARTS, before_end=1)
    inputs = np.zeros(batch.inputs.shape[2])
    for layer in way.layers:
        starts = _starts(way, layer, at, seed)
        name = f"{layer.name}.{layer.network.cell.states[0]}"
        found[layer.name] = fixed_points(layer, starts, inputs, drawn[name][1:])
        if layer.number + 1 < len(way.layers):
            if not len(found[layer.name].states):
                break
            state = layer.split(found[layer.name].states[:1])
            inputs = layer.network.cell.step(np, layer.parameters, inputs[None], state).output[0]
    return found


def _starts(way: Unrolled, layer: Layer, at: Array, seed: int) -> Array:
    steps = way.steps[layer.number]
    states = np.stack([layer.stacked({name: a[row] for name, a in steps[step].state.items()}) for row, step in at])
    noise = stream(seed, "diagnosis", 3).standard_normal(states.shape)
    noise[::2] = 0.0
    return np.asarray(states + _NOISE * states.std(axis=0) * noise)


def _lengths(run: RunFolder, network: Network, arrays: Mapping[str, Array]) -> Lengths | None:
    """Score the network at lengths up to ten times the longest trained, as far as the task has such sequences."""
    own = experiment_of(run)
    trained = own.timesteps
    model = own.build_backend().build(network, parameters={name: np.asarray(array) for name, array in arrays.items()})
    wanted = sorted({trained[0], *(max(1, round(share * trained[1])) for share in _MULTIPLES)})
    found = [(length, *scored) for length in wanted if (scored := _scored(run, model, length))]
    if not found:
        return None
    lengths, losses, baselines, metrics, solved = zip(*found, strict=True)
    names = [name for name in metrics[0] if name != "loss"]
    return Lengths(
        timesteps=np.array(lengths),
        loss=np.array(losses),
        baseline=np.array(baselines),
        metrics={name: np.array([one[name] for one in metrics]) for name in names},
        solved=tuple(solved),
        trained=trained,
    )


def _scored(run: RunFolder, model: AbstractModel, length: int) -> tuple[float, float, Mapping[str, float], bool] | None:
    try:
        experiment: Experiment = experiment_of(run, [f"shape.timesteps={length}", f"evaluation.sequences={_SCORED}"])
        task: AbstractTask = experiment.build_task()
        asked = ValidationSet(task, sequences=_SCORED, timesteps=experiment.timesteps, seed=experiment.seed)
    except (UsageError, ConfigError):
        return None
    with experiment.build_backend().running():
        metrics = asked.score(model)
    baseline = task.baseline(experiment.timesteps)
    return metrics["loss"], baseline, metrics, judge(task.solved, metrics, _SCORED)
