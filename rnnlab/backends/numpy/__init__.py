"""The NumPy backend: back-propagation through time, readable in `reference`, fast in `fast`.

Here are its options, its models, clipping and the update; the batch shards go through time.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from rnnlab.backends.base import (
    AbstractBackend,
    AbstractModel,
    BlockResult,
    Network,
    Prediction,
    StepResult,
    Training,
    nothing,
)
from rnnlab.backends.numpy.compiled import compiled_layer, describe_compiler
from rnnlab.backends.numpy.continual import ContinualModel
from rnnlab.backends.numpy.fast.layer import FastLayer
from rnnlab.backends.numpy.lanes import Form, Member, lanes_of, outputs_in_lanes, train_together, why_not_in_lanes
from rnnlab.backends.numpy.layer import AbstractLayer
from rnnlab.backends.numpy.parallel import ParallelShards
from rnnlab.backends.numpy.pool import NamedVector
from rnnlab.backends.numpy.reference import ReferenceLayer
from rnnlab.backends.numpy.shard import below
from rnnlab.backends.numpy.updating import Update
from rnnlab.core.batch import Array, Batch, checked_inputs
from rnnlab.core.options import Options
from rnnlab.core.threads import allotted_cpus
from rnnlab.optim.clipping import clip_by_global_norm, clip_by_value


class NumpyOptions(Options):
    """How NumPy computes; not used with `backend: keras`."""

    shards: int | None = Field(
        None,
        ge=1,
        le=64,
        description="parts into which a batch is divided, each for one processor; they decide the order of sums, "
        "and so the last bits; null: by a rule of batch and units; 1 is fastest with one processor",
    )
    compiled: bool = Field(
        False,
        description="make machine code of the steps (pip install 'rnnlab[compiled]'): small networks are up to four "
        "times as fast, the numbers the same but for the last bits",
    )
    lanes: bool | None = Field(
        None,
        description="with compiled, make machine code of whole updates, which trains up to 16 networks of a sweep side "
        "by side; null: where one network alone is faster so, as with batch_size 1; the last bits differ",
    )

    @field_validator("lanes")
    @classmethod
    def _lanes_are_compiled(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value and not info.data.get("compiled"):
            raise ValueError("lanes are machine code; set compiled: true, or leave lanes out")
        return value


class _OneThread:
    """Limits BLAS to one thread while anybody is inside; to look for BLAS takes as long as a small training."""

    def __init__(self) -> None:
        self._inside, self._lock, self._limits = 0, threading.Lock(), ExitStack()

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._inside:
                self._limits.enter_context(threadpool_limits(1, user_api="blas"))
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limits.close()


_one_thread = _OneThread()  # one for all, as the library is


class NumpyBackend(AbstractBackend):
    """Builds NumPy models.

    Args:
        reference: Use the readable layer even where a fast kernel exists.
        options: The block `numpy` of a config.
        processes: How many shards of a batch may be computed at once; as many as there are processors allotted when
            left out. It changes no number.
    """

    name = "numpy"

    def __init__(
        self, *, reference: bool = False, options: NumpyOptions | None = None, processes: int | None = None
    ) -> None:
        self.reference, self.options = reference, options or NumpyOptions()
        self.processes = processes or allotted_cpus()

    def facts(self, network: Network, training: Training | None = None, *, batch_size: int = 1) -> dict[str, Any]:
        path, _ = self._layer_class()
        if training and training.stream and why_not_in_lanes(network, training, batch_size, self._lanes):
            path = "reference"  # the steps of the equations, one by one
        facts = {"name": self.name, "path": path, "processes": self.processes}
        if path != "compiled":
            return facts
        facts |= {"compiler": describe_compiler()}
        if training is None:
            return facts
        return facts | {"lanes": not why_not_in_lanes(network, training, batch_size, self._lanes)}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Limit BLAS to one thread: at these sizes a second costs more than it gains, on a busy machine far more."""
        with _one_thread:
            yield

    def build(
        self, network: Network, *, parameters: Mapping[str, Array], training: Training | None = None
    ) -> AbstractModel:
        _, layer_class = self._layer_class()
        own = NamedVector({name: described.shape for name, described in network.parameters().items()}, network.dtype)
        own.fill_from(parameters)
        shards = ParallelShards(
            network,
            parameters=own.views,
            layer_class=layer_class,
            shards=1 if training and training.gradient_regularizer else self.options.shards,
            processes=self.processes,
        )
        model = NumpyModel(network, training, parameters=own, shards=shards, lanes=self._lanes)
        if training is None or training.stream is None:
            return model
        return ContinualModel(model, own, compiled=not why_not_in_lanes(network, training, 1, self._lanes))

    def train_blocks(
        self, models: Sequence[AbstractModel], batches: Sequence[Batch], *, updates: int
    ) -> list[BlockResult]:
        given = zip(models, batches, strict=True)
        members = [one.member(batch.size // updates) for one, batch in given if isinstance(one, _IN_LANES)]
        in_lanes = [member for member in members if member]
        if len(in_lanes) < len(models):
            return super().train_blocks(models, batches, updates=updates)
        return train_together(in_lanes, batches, updates)

    def why_apart(self, one: AbstractModel, other: AbstractModel) -> str:
        if not (isinstance(one, _IN_LANES) and isinstance(other, _IN_LANES)):
            return "another backend"
        return one.form.why_apart(other.form)

    def population(self, network: Network, training: Training, *, batch_size: int) -> int:
        if why_not_in_lanes(network, training, batch_size, self._lanes):
            return 1
        return lanes_of(network, batch_size, one_hot=training.one_hot)

    @property
    def _lanes(self) -> bool | None:
        return self.options.lanes if self.options.compiled and not self.reference else False

    def _layer_class(self) -> tuple[str, type[AbstractLayer]]:
        """Return which way networks are computed, and the layer that does."""
        if self.reference:
            return "reference", ReferenceLayer
        if self.options.compiled:
            return "compiled", compiled_layer()
        return "fast", FastLayer


class NumpyModel(AbstractModel):
    """Parameters live in one flat vector, and so do the gradients: clipping and updating are a few operations."""

    def __init__(
        self,
        network: Network,
        training: Training | None,
        *,
        parameters: NamedVector,
        shards: ParallelShards,
        lanes: bool | None,
    ) -> None:
        super().__init__(network, training)
        self._parameters, self._shards, self._lanes = parameters, shards, lanes
        self._slots = training.optimizer.initial_slots(parameters.flat.size, network.dtype) if training else {}
        self._update: Update | None = None

    @cached_property
    def _member(self) -> Member:
        if self.training is None:
            raise RuntimeError("this model was built without `training`")
        return Member(Form.of(self.network, self.training), self.training, self._parameters.flat, self._slots)

    def member(self, batch_size: int) -> Member | None:
        """Return what is trained beside others, with batches of this size; None for what is trained by itself."""
        training = self._member.training
        return None if why_not_in_lanes(self.network, training, batch_size, self._lanes) else self._member

    @property
    def form(self) -> Form:
        """What it has in common with networks that can share a call with it, whatever the size of a batch."""
        return self._member.form

    def train_block(self, batch: Batch, *, updates: int, meanwhile: Callable[[], None] = nothing) -> BlockResult:
        member = self.member(batch.size // updates)
        if member is None:
            return self._train_one_by_one(batch, updates, meanwhile)
        meanwhile()
        return train_together([member], [batch], updates)[0]

    def _train_one_by_one(self, batch: Batch, updates: int, meanwhile: Callable[[], None]) -> BlockResult:
        size, steps = batch.size // updates, list[StepResult]()
        for number in range(updates):
            rows = batch.rows(number * size, (number + 1) * size)
            steps.append(self._train_once(rows, nothing if number else meanwhile))
            if not (math.isfinite(steps[-1].loss) and math.isfinite(steps[-1].gradient_norm)):
                break
        return BlockResult.of(steps)

    @np.errstate(over="ignore", invalid="ignore")  # the caller sees divergence in the result
    def _train_once(self, batch: Batch, meanwhile: Callable[[], None]) -> StepResult:
        training = self._member.training
        loss, outputs, gradients = self._shards.learn(batch, training, meanwhile)
        norm = clip_by_global_norm(gradients.flat, training.clip_norm if training.clip_norm is not None else np.inf)
        if training.clip_value is not None:
            clip_by_value(gradients.flat, training.clip_value)
        done = int(self._slots["step"][0])
        rate = training.learning_rate * training.schedule.factor(done)
        if math.isfinite(loss) and math.isfinite(norm):  # else the weights stay those of the last good step
            if self._update is None:  # the gradients of all steps are in the same memory
                vectors = {"parameters": self._parameters.flat, "gradients": gradients.flat}
                decays = self.network.in_matrices()
                self._update = Update(training.optimizer, {**vectors, **self._slots, "decays": decays})
            self._update.step(done + 1, rate)
            self._slots["step"][0] = done + 1
        return StepResult(loss=loss, outputs=outputs, gradient_norm=norm, learning_rate=rate)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, Array]]:
        loss, _, gradients = self._shards.learn(batch, self.training)
        return loss, gradients.copies()

    def predict(self, inputs: Array, lengths: Array | None = None, *, states: bool = False) -> Prediction:
        inputs = checked_inputs(inputs, self.network.input_features)
        ends = np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths
        outputs = self._shards.predict(inputs, ends)
        return Prediction(outputs, self._shards.states(inputs) if states else {})

    def outputs(self, batch: Batch) -> Array:
        found = None if self._lanes is False else outputs_in_lanes(self.network, self._parameters.flat, batch)
        return super().outputs(batch) if found is None else found

    def parameters(self) -> dict[str, Array]:
        return self._parameters.copies()

    def state_dict(self) -> dict[str, Array]:
        parameters = {f"parameters/{name}": array for name, array in self._parameters.copies().items()}
        return parameters | {f"optimizer/{name}": array.copy() for name, array in self._slots.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self._parameters.fill_from(below("parameters/", state))
        slots = below("optimizer/", state)
        for name, slot in self._slots.items():
            slot[...] = slots[name]


_IN_LANES = (NumpyModel, ContinualModel)
BACKEND = NumpyBackend
