"""A predictor without memory where none is known in closed form: fitted to rows of inputs and real targets."""

from collections.abc import Callable

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.streams import stream

Predictor = Callable[[Array], Array]
FEATURES = 80
_MOST_ROWS = 20_000
_CHUNK = 25
_PENALTIES = (1e-6, 1e-4, 1e-2, 1.0)
_STEEPNESS = (0.5, 1.0, 2.0, 4.0)


def fitted(inputs: Array, targets: Array) -> Predictor:
    """Return a function from inputs (N, I) to expected targets (N,), fitted to N rows in their order.

    Ridge regression on the inputs alone, or with 80 random features tanh(w·x - b), always the same ones. Of both, and
    of four penalties, it takes what predicts the last quarter of the rows best when fitted to the others, and fits it
    to all. Of more than 20,000 rows it takes that many, evenly spaced. Inputs and targets are of about unit variance.

    Example:
        >>> x = np.linspace(-2, 2, 400)[np.random.default_rng(0).permutation(400)]
        >>> square = fitted(x[:, None], x**2)
        >>> square(np.array([[1.0], [1.5]])).round(2).tolist()
        [1.0, 2.25]
    """
    if len(inputs) > _MOST_ROWS:
        rows = np.linspace(0, len(inputs) - 1, _MOST_ROWS).astype(int)
        inputs, targets = inputs[rows], targets[rows]
    slopes, offsets = _features(inputs.shape[1])
    known = _known(inputs, slopes, offsets)
    cut = len(known) * 3 // 4
    first, rest = _moments(known[:cut], targets[:cut]), _moments(known[cut:], targets[cut:])
    choices = [(columns, penalty) for columns in (inputs.shape[1] + 1, known.shape[1]) for penalty in _PENALTIES]
    columns, penalty = min(choices, key=lambda choice: _error(_ridge(*first, *choice), *rest))
    solution = _ridge(first[0] + rest[0], first[1] + rest[1], columns, penalty)
    return lambda given: np.einsum("nk,k->n", _known(given, slopes, offsets)[:, :columns], solution)


def _features(inputs: int) -> tuple[Array, Array]:
    """Return the slopes (I, 80) and offsets (80,) of the random features."""
    rng = stream(0, "task/fitted")
    steepness = np.resize(_STEEPNESS, FEATURES)
    slopes = rng.normal(size=(inputs, FEATURES)) * steepness / np.sqrt(inputs)
    return slopes, rng.uniform(-2, 2, size=FEATURES) * steepness


def _known(inputs: Array, slopes: Array, offsets: Array) -> Array:
    """Return (N, 1 + I + 80): a 1, the inputs, the random features."""
    bent = np.tanh(np.einsum("ni,ik->nk", inputs, slopes) - offsets)
    return np.hstack([np.ones((len(inputs), 1)), inputs, bent])


def _moments(known: Array, targets: Array) -> tuple[Array, Array]:
    # In products so small that one thread computes each: waiting for another takes longer, and rounds differently.
    squares = np.zeros((known.shape[1],) * 2)
    for first in range(0, len(known), _CHUNK):
        rows = known[first : first + _CHUNK]
        squares += rows.T @ rows
    return squares, np.einsum("nk,n->k", known, targets)


def _ridge(squares: Array, products: Array, columns: int, penalty: float) -> Array:
    """Return the coefficients of the first columns; that of the 1 is hardly shrunk."""
    scale = np.full(columns, penalty * max(1.0, squares[0, 0]))
    scale[0] *= 1e-6
    return np.asarray(np.linalg.solve(squares[:columns, :columns] + np.diag(scale), products[:columns]))


def _error(solution: Array, squares: Array, products: Array) -> float:
    """Return the sum of squared errors, but for a constant."""
    columns = len(solution)
    return float(solution @ squares[:columns, :columns] @ solution - 2 * solution @ products[:columns])
