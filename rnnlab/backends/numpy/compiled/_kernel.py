"""Machine code of lanes with the memory that it needs, and the numbers of networks put side by side for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_LINE = 64  # bytes of a line of the cache


@final
class Kernel:
    """A function of machine code that takes a table of addresses, and whole numbers.

    Args:
        function: It.
        given: Names of the arrays that it is given, in order; buffers follow them.
        sizes: Of each buffer: how many numbers it has, and how many more for each time step.
        numbers: Names of the numbers of an update, in order.
        slots: Of the update rule.

    Attributes:
        numbers, slots: These.
    """

    def __init__(
        self,
        function: Callable[..., None],
        *,
        given: Sequence[str],
        sizes: Mapping[str, tuple[int, int]],
        numbers: Sequence[str],
        slots: Sequence[str],
    ) -> None:
        self._function, self._given, self._sizes = function, given, [*sizes.values()]
        self.numbers, self.slots = numbers, slots

    def run(self, given: Mapping[str, Array], numbers: Sequence[int], *, timesteps: int, dtype: np.dtype[Any]) -> None:
        """Run it on these arrays and whole numbers, with memory for T steps."""
        sizes = [-(-(fixed + more * timesteps) * dtype.itemsize // _LINE) * _LINE for fixed, more in self._sizes]
        memory = np.zeros(sum(sizes) + _LINE, "u1")
        starts = memory.ctypes.data + -memory.ctypes.data % _LINE + np.cumsum([0, *sizes[:-1]])
        arrays = [given[name] for name in self._given]
        assert all(array.flags.c_contiguous for array in arrays)
        table = np.array([*(array.ctypes.data for array in arrays), *starts.tolist()], np.int64)
        self._function(table.ctypes.data, *numbers)


def side_by_side(arrays: Sequence[Array], lanes: int) -> Array:
    """Return arrays side by side on a last axis; lanes beyond them are as the first."""
    first = arrays[0]
    whole = np.empty((*first.shape, lanes), first.dtype)
    for lane in range(lanes):
        whole[..., lane] = arrays[lane] if lane < len(arrays) else first
    return whole
