"""All batch shards of a model, one after another or side by side in processes or threads: bit-identical."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from math import prod
from typing import Any, final

import numpy as np

from rnnlab.backends.base import Network, Training, nothing
from rnnlab.backends.numpy.chunks import count_shards, deal, reach, should_recompute
from rnnlab.backends.numpy.layer import AbstractLayer
from rnnlab.backends.numpy.pool import NamedVector, ProcessPool, can_fork, shared
from rnnlab.backends.numpy.shard import Shard
from rnnlab.core.batch import Array, Batch

Arrays = dict[str, Array]
Learning = dict[str, Any]  # the arguments of `Shard.learn` beside the batch: plain values, sent to other processes
Layouts = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]  # shape and dtype of each array in shared memory


@final
class ParallelShards:
    """The shards of one model.

    Args:
        parameters: Views by full name, in shared memory.
        shards: How many; None for the rule of `count_shards`.
    """

    def __init__(
        self,
        network: Network,
        *,
        parameters: Mapping[str, Array],
        layer_class: type[AbstractLayer],
        shards: int | None,
        processes: int,
    ) -> None:
        self._network, self._parameters, self._layer_class = network, parameters, layer_class
        self._count = shards
        # A forked process is as fast as a thread or faster, for what is left to the interpreter waits for no lock.
        self._executor = ThreadPoolExecutor(processes) if layer_class.releases_lock and not can_fork() else None
        self._processes = processes if can_fork() or self._executor else 1
        self._shards: list[Shard] = []
        self._memory: Arrays = {}  # shared memory by name, flat
        self._pool: ProcessPool | None = None

    def learn(
        self, batch: Batch, training: Training | None, meanwhile: Callable[[], None] = nothing
    ) -> tuple[float, Array, NamedVector]:
        """Return the mean loss, the raw outputs of the scored steps, and the gradients.

        Without `training` no gradient is cut. `meanwhile` is called once, when the other processes are at work.
        """
        scored, timesteps = int(np.count_nonzero(batch.mask)), int(batch.lengths.max())
        window, asked = (training.bptt_steps, training.recompute) if training else (None, "auto")
        every_step = self._network.return_sequences
        kept = reach(timesteps, int(batch.lengths.min()), window=window, every_step=every_step)
        again = should_recompute(self._network, asked, batch_size=batch.size, timesteps=kept)
        outputs = self._network.empty_outputs(batch.size, batch.inputs.shape[1])
        arrays = {"inputs": batch.inputs, "targets": batch.targets, "mask": batch.mask, "lengths": batch.lengths}
        divisor = batch.size if training and training.sums_steps else scored
        how: Learning = {"divisor": divisor, "window": window, "recompute": again}
        if training and training.gradient_regularizer:
            how["regularizer"] = training.gradient_regularizer
        losses = self._run(arrays, outputs, how, meanwhile)
        first, *others = self._shards[: len(losses)]
        for other in others:  # always in this order, so that the sums are bit-identical
            first.gradients.flat += other.gradients.flat
        return sum(losses) / scored, outputs, first.gradients

    def predict(self, inputs: Array, lengths: Array) -> Array:
        """Return the raw outputs."""
        outputs = self._network.empty_outputs(*inputs.shape[:2])
        self._run({"inputs": inputs, "lengths": lengths}, outputs)
        return outputs

    def states(self, inputs: Array) -> Arrays:
        """Return every state after every step by name, `layers.0.h` …, (B, T, H) each."""
        self._add_shards(1)
        return self._shards[0].states(inputs)

    def _run(
        self, arrays: Arrays, outputs: Array, how: Learning | None = None, meanwhile: Callable[[], None] = nothing
    ) -> list[float]:
        """Learn, or predict without `how`: fill the outputs, and return the loss of each shard, 0 for a prediction."""
        count = count_shards(self._network, self._count, batch_size=len(outputs))
        self._add_shards(count)
        if min(self._processes, count) == 1:
            meanwhile()
            return self._of_shards(range(count), count, arrays | {"outputs": outputs}, how)
        if self._executor:
            threads, given = min(self._processes, count), (count, arrays | {"outputs": outputs}, how)
            own, *others = (range(thread, count, threads) for thread in range(threads))
            started = [self._executor.submit(self._of_shards, numbers, *given) for numbers in others]
            try:
                meanwhile()
                losses = self._of_shards(own, *given)
            finally:
                wait(started)
            return _dealt([losses, *(one.result() for one in started)], count)
        dtypes = {"inputs": self._network.dtype}
        there = {name: self._share(name, array, dtypes.get(name, array.dtype)) for name, array in arrays.items()}
        answer = self._share("outputs", outputs, outputs.dtype)
        try:
            self._pool = self._pool or ProcessPool(self._part, min(self._processes, count))
        except OSError:  # no more processes are allowed
            self._processes = 1
            return self._run(arrays, outputs, how, meanwhile)
        layouts = {name: (array.shape, array.dtype) for name, array in {**there, "outputs": answer}.items()}
        try:
            parts = self._pool.each((count, layouts, how), meanwhile)
        except BaseException:
            self._pool = None
            raise
        outputs[...] = answer
        return _dealt(parts, count)

    def _part(self, number: int, given: tuple[int, Layouts, Learning | None]) -> list[float]:
        """Compute the part of one process of the pool."""
        count, layouts, how = given
        arrays = {name: self._at(name, shape, dtype) for name, (shape, dtype) in layouts.items()}
        return self._of_shards(range(number, count, min(self._processes, count)), count, arrays, how)

    @np.errstate(over="ignore", invalid="ignore")  # the caller sees divergence in the result
    def _of_shards(self, numbers: range, count: int, arrays: Arrays, how: Learning | None) -> list[float]:
        """Compute the shards of these numbers, of `count` in all."""
        rows, losses = deal(arrays["lengths"], count), []
        for number in numbers:
            own = rows[number]
            given = {name: array[own] for name, array in arrays.items() if name != "outputs"}
            if how is None:
                loss, outputs = 0.0, self._shards[number].predict(**given)
            else:
                loss, outputs = self._shards[number].learn(Batch(given.pop("inputs"), **given), **how)
            arrays["outputs"][own] = outputs
            losses.append(loss)
        return losses

    def _add_shards(self, count: int) -> None:
        while len(self._shards) < count:
            self._close_pool()
            self._shards.append(Shard(self._network, self._parameters, self._layer_class))

    def _share(self, name: str, array: Array, dtype: np.dtype[Any]) -> Array:
        """Copy an array into memory that the pool shares."""
        memory = self._memory.get(name)
        if memory is None or memory.nbytes < array.size * dtype.itemsize:
            self._close_pool()  # its processes know the old memory only
            self._memory[name] = shared((array.size * dtype.itemsize,), "u1")
        there = self._at(name, array.shape, dtype)
        there[...] = array
        return there

    def _at(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        size = prod(shape) * dtype.itemsize
        return self._memory[name][:size].view(dtype).reshape(shape)

    def _close_pool(self) -> None:
        if self._pool:
            self._pool.close()
        self._pool = None


def _dealt(parts: Sequence[Sequence[float]], count: int) -> list[float]:
    """Return the losses of all shards, of which the parts have every n-th each."""
    losses = [0.0] * count
    for number, part in enumerate(parts):
        losses[number :: len(parts)] = part
    return losses
