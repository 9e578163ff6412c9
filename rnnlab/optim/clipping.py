"""Gradient clipping over the whole flat vector, in place, before the update."""

import math

import numpy as np

from rnnlab.optim.rules.base import Vector


def clip_by_global_norm(gradients: Vector, limit: float) -> float:
    """Scale the gradients down, in place, if their Euclidean norm is above `limit`, which is above 0.

        g ← g · min(1, limit/‖g‖)

    Finite gradients always give a finite scale: where the squares would overflow or vanish (in float32 beyond about
    1e19 or below 1e-15), the norm is taken of g/max|g|. If a gradient is nan or infinite there is no direction to keep:
    the vector is left as it is, and the norm returned (nan, or inf) shows that it must not be used.

    Returns:
        The norm before clipping, 0 or greater, or nan.

    Source: Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
    Differs: Keras's `global_clipnorm` where that is finite; it turns every gradient to nan when one is not finite, and
        when the squares of finite ones overflow.

    Example:
        >>> gradients = np.array([3.0, 4.0])
        >>> clip_by_global_norm(gradients, 2.5), gradients.tolist()
        (5.0, [1.5, 2.0])
        >>> clip_by_global_norm(gradients, 2.5), gradients.tolist()
        (2.5, [1.5, 2.0])
    """
    with np.errstate(over="ignore"):
        squares = float(np.dot(gradients, gradients))
    if not 1e-30 < squares < math.inf:
        return _clip_extreme(gradients, limit)
    norm = math.sqrt(squares)
    if norm > limit:
        gradients *= limit / norm
    return norm


def clip_by_value(gradients: Vector, limit: float) -> None:
    """Bring every gradient into [-limit, limit], in place: g ← min(max(g, -limit), limit).

    A nan stays nan; an infinite gradient becomes ±limit, so look at the loss, not here, for divergence.

    Source: Keras, `clipvalue`.

    Example:
        >>> gradients = np.array([-3.0, 0.25, 4.0])
        >>> clip_by_value(gradients, 0.5)
        >>> gradients.tolist()
        [-0.5, 0.25, 0.5]
    """
    np.maximum(gradients, -limit, out=gradients)
    np.minimum(gradients, limit, out=gradients)


def _clip_extreme(gradients: Vector, limit: float) -> float:
    """Do the same by way of g/max|g|, whose norm is between 1 and √P."""
    largest = float(np.max(np.abs(gradients), initial=0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    unit = gradients / largest
    length = math.sqrt(float(np.dot(unit, unit)))
    norm = largest * length
    if norm > limit:
        np.multiply(unit, limit / length, out=gradients)
    return norm
