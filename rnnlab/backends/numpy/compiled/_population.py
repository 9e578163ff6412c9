"""Networks that share a plan, trained side by side: their numbers are put into lanes, and taken from there."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import BlockResult, Network, Training
from rnnlab.backends.numpy.compiled._kernel import Kernel, side_by_side
from rnnlab.backends.numpy.compiled._updates import GIVEN, Updates
from rnnlab.backends.numpy.lanes import Form, Member, can_look_up, lanes_of
from rnnlab.core.batch import Array, Batch
from rnnlab.core.symbols import Symbols
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.rules.base import AbstractOptimizer
from rnnlab.optim.schedules import SCHEDULES

_PLAIN = Training(
    OPTIMIZERS.get("sgd")(OPTIMIZERS.get("sgd").Options()),
    learning_rate=0.1,
    schedule=SCHEDULES.get("constant")(SCHEDULES.get("constant").Options(), total_steps=1),
)
_TOGETHER = (4, 2, 1)  # sequences of a network that are computed at once, so that its weights are read once for all


def train_population(members: Sequence[Member], batches: Sequence[Batch], updates: int) -> list[BlockResult]:
    """Run so many updates of each network with its own batch; they have one form, and there are at most W.

    A network's numbers depend neither on the others nor on how many updates there are.
    """
    form, training = members[0].form, members[0].training
    network, dtype = form.network, form.network.dtype
    batch_size = batches[0].size // updates
    of_symbols = all(isinstance(one.given, Symbols) for one in batches) and can_look_up(network)
    lanes = lanes_of(network, batch_size, one_hot=training.one_hot)
    together = next(count for count in _TOGETHER if batch_size % count == 0)
    kernel = _kernel(form, lanes, together, of_symbols=of_symbols)
    data = _Data(batches, network, training, updates, lanes=lanes, together=together, of_symbols=of_symbols)
    vectors = {name: side_by_side([one.slots[name] for one in members], lanes) for name in kernel.slots}
    vectors["parameters"] = side_by_side([one.parameters for one in members], lanes)
    schedules = [(one.training, int(one.slots["step"][0])) for one in members]
    rates = [one.learning_rate * one.schedule.factors(done, updates) for one, done in schedules]
    numbers = [_numbers(one, rate, kernel.numbers) for one, rate in zip(members, rates, strict=True)]
    _, *output = network.empty_outputs(0, data.timesteps).shape
    given = data.arrays | vectors | {
        "numbers": side_by_side(numbers, lanes),
        "decays": side_by_side([network.in_matrices().astype(dtype)], lanes),
        "alive": np.ones(lanes, dtype),
        "losses": np.zeros((updates, lanes), dtype),
        "norms": np.zeros((updates, lanes), dtype),
        "outputs": np.zeros((data.rows // together, *output, together, lanes), dtype),
    }  # fmt: skip
    numbers_of_all = updates, batch_size, data.timesteps, training.bptt_steps or 0
    kernel.run(given, numbers_of_all, timesteps=data.timesteps, dtype=dtype)
    results = []
    for column, (member, rate) in enumerate(zip(members, rates, strict=True)):
        losses, norms = (given[name][:, column].astype(np.float64) for name in ("losses", "norms"))
        ends = np.flatnonzero(~(np.isfinite(losses) & np.isfinite(norms)))
        count = int(ends[0]) + 1 if len(ends) else updates
        member.parameters[...] = vectors["parameters"][:, column]
        for name in kernel.slots:
            member.slots[name][...] = vectors[name][:, column]
        member.slots["step"][0] += count - (len(ends) > 0)
        outputs = np.moveaxis(given["outputs"][..., column], -1, 1).reshape(data.rows, *output)[: count * batch_size]
        outputs = outputs[:, : batches[column].mask.shape[1]] if network.return_sequences else outputs
        results.append(BlockResult(losses[:count], norms[:count], rate[:count], np.ascontiguousarray(outputs)))
    return results


def outputs_of_symbols(network: Network, parameters: Array, batch: Batch) -> Array:
    """Return the raw outputs at the scored steps: each lane has the network, and a share of the sequences.

    Lanes have about the same lengths at the same time. A sequence's outputs do not depend on the others.
    """
    lanes, dtype = lanes_of(network, 1, one_hot=True), network.dtype
    order = np.argsort(-batch.lengths, kind="stable")
    order = np.pad(order, (0, -len(order) % lanes), mode="edge").reshape(-1, lanes)  # (rows, lanes)
    rows, longest = len(order), int(batch.lengths.max())
    assert isinstance(batch.given, Symbols)
    targets = batch.targets[:, :longest] if network.return_sequences else batch.targets
    shares = [
        Batch(Symbols(batch.given.codes[own, :longest], batch.given.features), targets[own], mask, batch.lengths[own])
        for own, mask in ((own, batch.mask[own, :longest]) for own in order.T)
    ]
    data = _Data(shares, network, _PLAIN, 1, lanes=lanes, together=1, of_symbols=True)
    outputs = np.zeros((rows, *network.empty_outputs(0, longest).shape[1:], lanes), dtype)
    nothing = dict.fromkeys([*GIVEN, *_PLAIN.optimizer.slot_names()], np.zeros(lanes, dtype))
    given = nothing | data.arrays | {"parameters": side_by_side([parameters], lanes), "outputs": outputs}
    form = Form.of(network, _PLAIN)
    _kernel(form, lanes, 1, of_symbols=True, learns=False).run(
        given, (1, rows, longest, 0), timesteps=longest, dtype=dtype
    )
    found = network.empty_outputs(batch.size, batch.mask.shape[1])
    filled = found[:, :longest] if network.return_sequences else found
    filled[order] = np.moveaxis(outputs, -1, 1)
    return found


@final
class _Data:
    """The batches of all lanes; those beyond the last network have the first one's.

    Attributes:
        rows: Sequences of each lane.
        timesteps: T, the longest of all.
        arrays: What the kernel is given.
    """

    def __init__(
        self,
        batches: Sequence[Batch],
        network: Network,
        training: Training,
        updates: int,
        *,
        lanes: int,
        together: int,
        of_symbols: bool,
    ) -> None:
        self.rows, self.timesteps = batches[0].size, max(one.mask.shape[1] for one in batches)
        batches = [one.padded(self.timesteps) for one in batches]
        lengths = side_by_side([one.lengths for one in batches], lanes)
        self._kept: list[Array] = []
        self.arrays: dict[str, Array] = {
            "inputs by lane": self._table([_inputs(one, of_symbols=of_symbols) for one in batches], lanes),
            "ends": lengths.reshape(-1, together * lanes).max(axis=1).astype(np.int64),
            "lengths": lengths.astype(network.dtype),
        }
        self.arrays["targets by lane"] = self._table([one.targets for one in batches], lanes)
        masks = [one.mask for one in batches] if network.return_sequences else []
        self.arrays["mask by lane"] = self._table(masks, lanes)
        scored = [one.mask.reshape(updates, -1).sum(axis=1, dtype=np.int64) for one in batches]
        divisors = [np.full(updates, self.rows // updates)] * len(scored) if training.sums_steps else scored
        for name, counts in (("share", divisors), ("share of the loss", scored)):
            self.arrays[name] = (1 / side_by_side(counts, lanes)).astype(network.dtype)

    def _table(self, arrays: Sequence[Array], lanes: int) -> Array:
        doubles = [np.ascontiguousarray(array, np.float64) for array in arrays]
        self._kept += doubles
        addresses = [array.ctypes.data for array in doubles] or [0]
        return np.array(addresses + addresses[:1] * (lanes - len(addresses)), np.int64)


def _inputs(batch: Batch, *, of_symbols: bool) -> Array:
    if of_symbols and isinstance(batch.given, Symbols):
        return np.add(batch.given.codes[:, :, None], 1, dtype=np.int32)  # the largest of int8 has no next one
    return batch.inputs


@lru_cache(maxsize=32)
def _kernel(form: Form, lanes: int, together: int, *, of_symbols: bool, learns: bool = True) -> Kernel:
    sizes = {"lanes": lanes, "together": together}
    updates = Updates(form.network, form.optimizer, **sizes, of_symbols=of_symbols, learns=learns)
    slots = form.optimizer.slot_names()
    return Kernel(updates.function(), given=(*GIVEN, *slots), sizes=updates.sizes, numbers=updates.numbers, slots=slots)


def _numbers(member: Member, rates: NDArray[np.float64], names: Sequence[str]) -> Array:
    """Return the numbers of each update, (K, N)."""
    training, steps = member.training, int(member.slots["step"][0]) + 1 + np.arange(len(rates))
    clip = {"clip_norm": training.clip_norm, "clip_value": training.clip_value}
    own = _own_numbers(training.optimizer, steps, rates) | {
        name: np.inf if one is None else one for name, one in clip.items()
    }
    return np.stack([np.broadcast_to(own[name], rates.shape) for name in names], axis=1).astype(
        member.form.network.dtype
    )


def _own_numbers(rule: AbstractOptimizer[Any], steps: Array, rates: NDArray[np.float64]) -> dict[str, Any]:
    """Return the numbers of a rule at some steps, arrays or the same at each."""
    try:
        return rule.numbers(steps, rates)
    except (TypeError, ValueError):  # a rule that asks about one step, such as `if step > 5`
        each = [rule.numbers(int(step), float(rate)) for step, rate in zip(steps, rates, strict=True)]
        return {name: np.array([one[name] for one in each]) for name in each[0]}
