"""What a recurrent layer of the NumPy backend is: forward over a stretch of time, and back through it.

Inside, arrays are time-major: (T, B, feature). A stretch may be a whole sequence or, for truncated back-propagation and
for sequences too long for memory, one chunk of it: the state goes in and comes out.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from rnnlab.cells.base import AbstractCell

Array = NDArray[Any]
State = dict[str, Array]
# The gradient that reaches each step's output from above: (B, H), or None where nothing is scored.
OutputGradients = Sequence[Array | None]


class AbstractLayer(ABC):
    """One recurrent layer.

    Args:
        cell: The configured cell.
        parameters: Views of this layer's parameters by the cell's names; an update changes them in place.
        gradients: Views of the same shapes; `backward` adds to them.
    """

    def __init__(self, cell: AbstractCell, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        self.cell, self.parameters, self.gradients = cell, parameters, gradients
        self.units = cell.options.units

    @abstractmethod
    def forward(self, inputs: Array, state: State) -> tuple[Array, State]:
        """Run T steps and keep what `backward` needs.

        Args:
            inputs: (T, B, I).
            state: Named arrays, each (B, H).

        Returns:
            The outputs (T, B, H), a view that the next `forward` overwrites, and the state after the last step, copies.
        """

    @abstractmethod
    def states(self) -> State:
        """Return views of every state after every step of the last `forward`, each (T, B, H)."""

    @abstractmethod
    def backward(self, output_gradients: OutputGradients, *, need_inputs: bool) -> Array | None:
        """Go back through the last `forward`, adding to the parameter gradients.

        The gradient of the final state is zero: nothing beyond the stretch reaches back into it.

        Args:
            output_gradients: For each of the T steps, dL/d output (B, H) or None.
            need_inputs: Whether a layer below wants dL/d inputs.

        Returns:
            dL/d inputs (T, B, I) when asked for, else None.
        """
