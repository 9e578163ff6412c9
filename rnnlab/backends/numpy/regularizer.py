"""A term of the gradient by which the gradient of the state keeps its norm from step to step."""

from collections.abc import Mapping
from typing import final

import numpy as np

from rnnlab.backends.numpy.layer import OutputGradients, Tape
from rnnlab.core.activations import AbstractActivation
from rnnlab.core.batch import Array

_LEAST = 1e-20  # of |δ|²: below, a step is left out


@final
class GradientRegularizer:
    """∂Ω/∂U of one layer of the simple cell, where Ω is 0 if the gradient neither shrinks nor grows on its way.

        Ω = mean over steps and sequences of (|δ_t·∂h_t/∂h_{t-1}|² / |δ_t|² - 1)²,     δ_t = ∂loss/∂h_t

    Only the direct dependence on U is differentiated, δ and h are constants. With a = δ_t·f'(h_t), s = a·Uᵀ and
    q = |s|²/|δ_t|² the part of a step is ∂Ω/∂U = 4·(q - 1)/|δ_t|² · sᵀ·a. Steps with |δ_t|² < 1e-20 are left out.

    Source: Pascanu, Mikolov, Bengio 2013, equation 10, as its code computes it (pascanur/trainingRNNs, RNN.py).
    Differs: From equation 10 as that code does: it is the mean over steps and sequences, not the sum. In equation 9 the
        norms are not squared.
    """

    def __init__(self, activation: AbstractActivation, parameters: Mapping[str, Array]) -> None:
        self._activation, self._matrix, self._memory = activation, parameters["U"], Tape()
        self.begin()

    def begin(self) -> None:
        """Prepare for a pass over a batch."""
        self._sum, self._count = np.zeros_like(self._matrix), 0

    def take(self, states: Array, output_gradients: OutputGradients, state_gradient: Array) -> None:
        """Add the steps of a chunk.

        Args:
            states: (T, B, H) after each step.
            output_gradients: For each step the gradient that reaches its output from above, (B, H) or None.
            state_gradient: (B, H) of the state after the chunk, by what comes later.
        """
        shape, dtype, transposed = states.shape, self._matrix.dtype, self._matrix.T
        inside = self._memory.array("inside", shape, dtype)  # f'(h), then δ·f'(h)
        inside[...] = self._activation.slope(np, states)
        deltas, before = (self._memory.array(name, shape, dtype) for name in ("deltas", "before"))
        later = state_gradient
        for delta, a, s, above in zip(deltas[::-1], inside[::-1], before[::-1], output_gradients[::-1], strict=True):
            np.add(later, 0 if above is None else above, out=delta)
            np.multiply(delta, a, out=a)
            later = np.dot(a, transposed, out=s)
        squares, passed = (np.einsum("tbh,tbh->tb", one, one) for one in (deltas, before))
        counts = squares >= _LEAST
        squares[~counts] = np.inf
        factors = 4 * (passed / squares - 1) / squares
        before *= factors[:, :, None]
        rows = -1, shape[-1]
        self._sum += np.dot(before.reshape(rows).T, inside.reshape(rows))
        self._count += int(np.count_nonzero(counts))

    def gradient(self) -> Array:
        """Return ∂Ω/∂U of all steps since `begin`, (H, H)."""
        return np.asarray(self._sum / max(self._count, 1))
