"""Networks side by side, one in each lane of a vector: which can be, when it pays, and the call that trains them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, final

import numpy as np

from rnnlab.backends._recipe import Stream
from rnnlab.backends.base import BlockResult, Network, Training
from rnnlab.backends.numpy.chunks import should_recompute
from rnnlab.core.batch import Array, Batch
from rnnlab.core.symbols import Symbols
from rnnlab.equations.formula import formula_of_rule
from rnnlab.equations.graph import text_of
from rnnlab.equations.plan import plan_of
from rnnlab.optim.rules.base import AbstractOptimizer

_LARGE = range(1000, 4000)  # parameters
_TYPICAL = 100  # time steps, where it is not known how many there will be


@final
@dataclass(frozen=True, slots=True)
class Form:
    """What networks have in common that are computed by the same machine code.

    Attributes:
        cell, rule, rest: Texts of the layers' equations, of the update rule, and of all else.
        network, optimizer: One that is so.
        stream, bptt_steps: Of one, where updates are made at every step of a stream.
    """

    cell: str
    rule: str
    rest: str
    network: Network = field(compare=False)
    optimizer: AbstractOptimizer[Any] = field(compare=False)
    stream: Stream | None = field(compare=False)
    bptt_steps: int | None = field(compare=False)

    @classmethod
    def of(cls, network: Network, training: Training) -> "Form":
        """Return the form of a network."""
        layers, stream = network.cell.options.layers, training.stream
        plans = [plan_of(network.cell, network.layer_features(layer)).form for layer in range(min(layers, 2))]
        formula = formula_of_rule(training.optimizer)
        rest = (
            network.output_features, network.loss, network.return_sequences, network.precision, training.bptt_steps,
            training.sums_steps, training.one_hot, network.output, stream and (stream.reset, stream.tolerance),
        )  # fmt: skip
        rule = f"{[*formula]} {text_of(formula.values())}"
        return cls(f"{layers} {plans}", rule, f"{rest}", network, training.optimizer, stream, training.bptt_steps)

    def why_apart(self, other: "Form") -> str:
        """Return why networks of these forms cannot share a call; empty where they can."""
        parts = {
            "their cells have other equations or sizes": (self.cell, other.cell),
            "their update rules have other equations": (self.rule, other.rule),
            "their output layer, loss, reduction, precision, bptt_steps or reset differ": (self.rest, other.rest),
        }
        return next((why for why, (one, another) in parts.items() if one != another), "")


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A network that is trained beside others."""

    form: Form  # what it shares with them
    training: Training  # how it is updated
    parameters: Array  # (P,), changed in place
    slots: Mapping[str, Array]  # of the update rule, likewise, and `step`
    # where updates are made at every step of a stream: what is remembered from step to step, likewise
    along: Mapping[str, Array] = field(default_factory=dict)


@cache  # called at every block
def lanes_of(network: Network, batch_size: int, *, one_hot: bool = False) -> int:
    """Return how many networks there can be in one call: as many as a vector has numbers.

    Vectors of 64 bytes are halved where all weights in them are read at every step of a sequence, and no longer fit a
    first cache: then it is the second that sets the speed. By measurement at 1,489 weights, 16 networks take as long as
    twice 8, and one alone twice as long. Where B is a multiple of 4, that many sequences share what is read.
    """
    from rnnlab.backends.numpy.compiled._machine import vector_bytes

    is_large = _read(network, one_hot=one_hot) in _LARGE and batch_size % 4 > 0
    return (min(32, vector_bytes()) if is_large else vector_bytes()) // network.dtype.itemsize


def why_not_in_lanes(network: Network, training: Training, batch_size: int, asked: bool | None) -> str:
    """Return why a network is not trained in a lane; empty where it is. It depends on the config alone.

    `asked` is `numpy.lanes` of the config; None for what is faster for one network alone.
    """
    timesteps = training.longest or _TYPICAL
    if asked is False:
        return "machine code of whole updates is off: set numpy.compiled, and not numpy.lanes: false"
    if training.stream is not None:
        return "" if _has_one_rate(training.optimizer) else "numbers of the update rule differ from step to step"
    if training.gradient_regularizer:
        return "training.gradient_regularizer is set"
    # The states of one sequence of 16 networks are there at once.
    if should_recompute(network, training.recompute, batch_size=16, timesteps=timesteps):
        return "states are recomputed, for training.recompute asks for it, or memory does"
    if asked is None and not is_faster_alone(network, batch_size, timesteps, one_hot=training.one_hot):
        return "one network alone is faster otherwise; numpy.lanes: true trains many together"
    return ""


def _has_one_rate(rule: AbstractOptimizer[Any]) -> bool:
    """Return whether of a rule's numbers only `rate` differs from step to step, and is the learning rate.

    Given arrays, numbers that depend on them are arrays too, or they cannot be computed, as with `if step > 5`.
    """
    rates = np.array([0.5, 1.0])
    try:
        numbers = rule.numbers(np.array([1, 2]), rates)
    except (TypeError, ValueError):
        return False
    return numbers.pop("rate", None) is rates and not any(map(np.ndim, numbers.values()))


@cache  # called at every block
def is_faster_alone(network: Network, batch_size: int, timesteps: int, *, one_hot: bool = False) -> bool:
    """Return whether one network alone is faster in a lane than with its sequences as columns.

    A lane takes B·T·(50 ns + 0.6 ns·P) for an update, P parameters; 1 ns·P from 4,000 on, unless B is a multiple of 4.
    Columns, 16 sequences at a time, take 110 µs and T·⌈B/16⌉·(180 ns + 0.5 ns·P). Both were measured for the carry cell
    at 4 to 32 units and B from 1 to 64, float32, on one Zen 5 core with vectors of 64 bytes. It is the same rule
    everywhere, so that a config is computed in one way. Where inputs are symbols a lane reads one row of their matrix.
    """
    size, all_of_them = _read(network, one_hot=one_hot), _read(network, one_hot=False)
    in_lane = batch_size * timesteps * (0.05 + size * (0.001 if size >= _LARGE.stop and batch_size % 4 else 0.0006))
    return in_lane < 110 + timesteps * -(-batch_size // 16) * (0.18 + 0.0005 * all_of_them)


def can_look_up(network: Network) -> bool:
    """Return whether the step of the first layer reads its inputs in products with matrices alone."""
    stages = plan_of(network.cell, network.input_features).forward
    return all(operand.operation != "input" for stage in stages for node in stage.block for operand in node.operands)


def _read(network: Network, *, one_hot: bool) -> int:
    """Return how many parameters are read at a step: of symbols, one row of a matrix that takes inputs."""
    if one_hot and can_look_up(network):
        network = replace(network, input_features=1)
    return network.parameter_count


def train_together(members: Sequence[Member], batches: Sequence[Batch], updates: int) -> list[BlockResult]:
    """Run so many updates of each of these networks of one form with its own batch.

    A network's numbers depend neither on the others nor on how many updates there are.
    """
    from rnnlab.backends.numpy.compiled._population import train_population
    from rnnlab.backends.numpy.compiled._stream_lanes import train_streams

    form, results = members[0].form, list[BlockResult]()
    most = lanes_of(form.network, batches[0].size // updates, one_hot=members[0].training.one_hot)
    train = train_streams if form.stream else train_population
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for start in range(0, len(members), most):
            results += train(members[start : start + most], batches[start : start + most], updates)
    return results


def outputs_in_lanes(network: Network, parameters: Array, batch: Batch) -> Array | None:
    """Return the raw outputs at the scored steps of sequences of symbols, found in lanes; None for others."""
    if not (isinstance(batch.given, Symbols) and can_look_up(network)):
        return None
    from rnnlab.backends.numpy.compiled._population import outputs_of_symbols

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return outputs_of_symbols(network, parameters, batch)
