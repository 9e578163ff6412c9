"""What a recurrent layer of the NumPy backend is: forward over a chunk of time, and back through it.

Inside, arrays are time-major: (T, B, feature). A chunk is some steps of some sequences: the state goes in and comes
out, its gradient likewise the other way, and what lies between is kept on a tape until the layer has gone back.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import prod
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import DTypeLike

from rnnlab.core.batch import Array
from rnnlab.equations.plan import Plan

State = dict[str, Array]
# The gradient that reaches each step's output from above: (B, H), or None where nothing is scored.
OutputGradients = Sequence[Array | None]
_LINE = 64  # bytes of a line of the cache


@final
class Tape:
    """What a layer keeps of one chunk until it goes back through it; its memory is used again for the next batch."""

    kept: Any = None

    def __init__(self) -> None:
        self._memory: dict[str, Array] = {}
        self._views: dict[str, tuple[Hashable, Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Return an array by name; it keeps its numbers until the same name is asked for in another shape."""
        size = prod(shape)
        memory = self._memory.get(name)
        if memory is None or memory.size < size or memory.dtype != dtype:
            memory = self._memory[name] = _empty(size, np.dtype(dtype))
            self._views.clear()
        return memory[:size].reshape(shape)

    def views(self, name: str, shape: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gave for this shape, made anew only where the shape is another one or memory moved.

        A view costs a third of a product of small matrices, so the loops over time find theirs ready.
        """
        known, views = self._views.get(name, (None, None))
        if known != shape:
            views = make()
            self._views[name] = shape, views
        return views


def _empty(size: int, dtype: np.dtype[Any]) -> Array:
    """Return memory that begins where a line of the cache does: no vector then lies on two of them."""
    raw = np.empty(size * dtype.itemsize + _LINE, "u1")
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size * dtype.itemsize].view(dtype)


class AbstractLayer(ABC):
    """One recurrent layer; what it knows of a sequence is on the tapes, so that it can go back through many chunks.

    Args:
        parameters: Views of this layer's parameters by the cell's names; an update changes them in place.
        gradients: Views of the same shapes; a pass from `begin` to `finish` adds to them.

    Attributes:
        releases_lock: Whether it goes through time without the interpreter's lock, so that threads gain something.
    """

    releases_lock: ClassVar[bool] = False

    def __init__(self, plan: Plan, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.plan, self.cell, self.parameters, self.gradients = plan, plan.cell, parameters, gradients
        self.units = plan.cell.options.units
        self._scratch = Tape()  # memory that no chunk needs beyond its own pass

    @abstractmethod
    def begin(self, dtype: np.dtype[Any]) -> None:
        """Prepare for a pass over a batch: the parameters have changed since the last."""

    @abstractmethod
    def finish(self) -> None:
        """Add to the gradients what `backward` gathered since `begin`, if it gathers."""

    @abstractmethod
    def forward(self, inputs: Array, state: State, tape: Tape) -> tuple[Array, State]:
        """Run T steps and put what `backward` needs on the tape.

        Args:
            inputs: (T, B, I), of any strides and any real dtype.
            state: Named arrays, each (B, H).
            tape: Where to keep things; what was there is lost.

        Returns:
            The outputs (T, B, H), a view into the tape, and the state after the last step, copies.
        """

    @abstractmethod
    def states(self, tape: Tape) -> State:
        """Return views of every state after every step on the tape, each (T, B, H)."""

    @abstractmethod
    def backward(
        self, tape: Tape, output_gradients: OutputGradients, *, state_gradient: State, need_inputs: bool
    ) -> tuple[Array | None, State]:
        """Go back through the chunk on the tape, and add up the gradients of the parameters.

        Args:
            tape: As the last `forward` left it.
            output_gradients: For each of the T steps, dL/d output (B, H) or None.
            state_gradient: dL/d state after the chunk, by what comes later: named arrays, each (B, H).
            need_inputs: Whether a layer below wants dL/d inputs.

        Returns:
            dL/d inputs (T, B, I) when asked for, else None; and dL/d state before the chunk.
        """

    @abstractmethod
    def chunk_rows(self) -> int:
        """Return how many rows (steps times sequences) a chunk had best have."""
