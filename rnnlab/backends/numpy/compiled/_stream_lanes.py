"""Networks that learn at every step of streams, trained side by side: their numbers are put into lanes, and taken."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import BlockResult
from rnnlab.backends.numpy.compiled._kernel import Kernel, side_by_side
from rnnlab.backends.numpy.compiled._streams import GIVEN, Streams
from rnnlab.backends.numpy.lanes import Form, Member, lanes_of
from rnnlab.core.batch import Batch
from rnnlab.equations.traces import traces_along

Array = NDArray[Any]
_NEVER = 2**62


def train_streams(members: Sequence[Member], batches: Sequence[Batch], updates: int) -> list[BlockResult]:
    """Let each network learn from so many sequences of its own; they have one form, and there are at most W.

    A network's numbers depend neither on the others nor on how many sequences there are.
    """
    form, lanes = members[0].form, lanes_of(members[0].form.network, 1)
    kernel, layout = _kernel(form, lanes)
    data = _Data(members, batches, kernel, layout, lanes=lanes)
    steps = max(int(batch.lengths.sum()) for batch in batches)
    kernel.run(data.arrays, (updates, steps), timesteps=0, dtype=form.network.dtype)
    return [data.taken(column) for column in range(len(members))]


@lru_cache(maxsize=32)
def _kernel(form: Form, lanes: int) -> tuple[Kernel, Streams]:
    network = form.network
    assert form.stream is not None
    traces = traces_along(network.cell, network.input_features, form.bptt_steps)
    streams = Streams(network, form.optimizer, form.stream, traces, lanes=lanes)
    slots = form.optimizer.slot_names()
    kernel = Kernel(
        streams.function(), given=(*GIVEN, *slots), sizes=streams.sizes, numbers=streams.numbers, slots=slots
    )
    return kernel, streams


@final
class _Data:
    """What the kernel is given; lanes beyond the last network have the first one's numbers, and no work.

    Attributes:
        arrays: By name.
    """

    def __init__(
        self, members: Sequence[Member], batches: Sequence[Batch], kernel: Kernel, streams: Streams, *, lanes: int
    ) -> None:
        self._members, self._slots, self._streams = members, kernel.slots, streams
        network = members[0].form.network
        dtype, count, rows = network.dtype, len(members), batches[0].size
        self._outputs = [network.empty_outputs(rows, batch.inputs.shape[1]) for batch in batches]
        self._kept: list[Array] = []
        done = [(one.training, int(one.along["sequences"][0])) for one in members]
        self._rates = [one.learning_rate * one.schedule.factors(number, rows) for one, number in done]
        streaming = [one.training.stream for one in members]
        self._left = [one.left(int(of.along["streams"][0])) for one, of in zip(streaming, members, strict=True) if one]
        of_lanes = {
            "timesteps": [batch.inputs.shape[1] for batch in batches],
            "steps": [int(one.along["steps"][0]) for one in members],
            "most": [one.steps or _NEVER for one in streaming if one],
            "left": self._left,
        }
        by_lane = {
            "lengths": [batch.lengths.astype(dtype) for batch in batches],
            "rates": [rate.astype(dtype) for rate in self._rates],
            "numbers": [self._numbers(one, kernel.numbers) for one in members],
            "decay": [np.array([one.decay], dtype) for one in streaming if one],
            "parameters": [one.parameters for one in members],
            "decays": [network.in_matrices().astype(dtype)],
            "traces": [one.along["traces"] for one in members],
            "factor": [one.along["factor"] for one in members],
            "record": [self._record(one) for one in members],
        } | {name: [one.slots[name] for one in members] for name in kernel.slots}
        self.arrays: dict[str, Array] = {
            "inputs by lane": self._table([batch.inputs for batch in batches], lanes),
            "targets by lane": self._table([batch.targets for batch in batches], lanes),
            "mask by lane": self._table([batch.mask for batch in batches], lanes),
            "outputs by lane": _addresses(self._outputs, lanes),
            "index": np.zeros(lanes, np.int64),
            "row": np.zeros(lanes, np.int64),
            "working": np.array([count]),
            "fresh": np.zeros(lanes, dtype),
            "moved": np.zeros(lanes, dtype),
            "on": (np.arange(lanes) < count).astype(dtype),
        }
        self.arrays |= {name: np.array(one + one[:1] * (lanes - count), np.int64) for name, one in of_lanes.items()}
        self.arrays |= {name: side_by_side(arrays, lanes) for name, arrays in by_lane.items()}
        self.arrays |= {name: np.zeros((rows, lanes), dtype) for name in ("losses", "norms", "factors")}

    def taken(self, column: int) -> BlockResult:
        """Give a network its numbers back; return its results."""
        arrays, member = self.arrays, self._members[column]
        count = int(arrays["row"][column])
        losses, norms, factors = (
            arrays[name][:count, column].astype(np.float64) for name in ("losses", "norms", "factors")
        )
        is_bad = not (np.isfinite(losses[-1]) and np.isfinite(norms[-1]))
        member.parameters[...] = arrays["parameters"][:, column]
        for name in self._slots:
            member.slots[name][...] = arrays[name][:, column]
        member.slots["step"][0] += int(arrays["moved"][column])
        along, is_fresh = member.along, arrays["fresh"][column] > 0
        for name in ("traces", "factor"):
            along[name][...] = arrays[name][..., column]
        for rows, start in self._states(member):
            along["states"][rows] = arrays["record"][start : start + rows.stop - rows.start, column]
        along["steps"][0] = arrays["steps"][column]
        along["sequences"][0] += count - is_bad
        along["streams"][0] += self._left[column] - int(arrays["left"][column])
        if is_fresh:
            for name in ("states", "traces", "steps"):
                along[name].fill(0)
            along["factor"].fill(1)
        rates = self._rates[column][:count] * factors
        return BlockResult(losses, norms, rates, self._outputs[column][:count])

    def _record(self, member: Member) -> Array:
        record = np.zeros(self._streams.record, member.form.network.dtype)
        record[self._streams.ones] = 1
        for rows, start in self._states(member):
            record[start : start + rows.stop - rows.start] = member.along["states"][rows]
        return record

    def _states(self, member: Member) -> list[tuple[slice, int]]:
        """Return for each state where it is in the vector of states, and its first row on the record."""
        found, end = list[tuple[slice, int]](), 0
        for name, size in member.form.network.cell.state_sizes().items():
            found.append((slice(end, end + size), self._streams.states[name]))
            end += size
        return found

    def _numbers(self, member: Member, names: Sequence[str]) -> Array:
        training = member.training
        clip = {"clip_norm": training.clip_norm, "clip_value": training.clip_value}
        own = training.optimizer.numbers(1, 1.0) | {name: np.inf if one is None else one for name, one in clip.items()}
        return np.array([own[name] for name in names]).astype(member.form.network.dtype)

    def _table(self, arrays: Sequence[Array], lanes: int) -> Array:
        doubles = [np.ascontiguousarray(array, np.float64) for array in arrays]
        self._kept += doubles
        return _addresses(doubles, lanes)


def _addresses(arrays: Sequence[Array], lanes: int) -> Array:
    addresses = [array.ctypes.data for array in arrays]
    return np.array(addresses + addresses[:1] * (lanes - len(addresses)), np.int64)
