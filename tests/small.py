"""A training so small that a test can work it out by hand, and its parts."""

from collections.abc import Callable
from importlib.util import find_spec

import pytest

import rnnlab

SMALL = {
    "task": "parity",
    "shape": {"timesteps": 4},
    "cell": {"units": 4},
    "training": {"steps": 5, "batch_size": 6, "evaluate_every": 2, "stop_when_solved": False},
    "evaluation": {"sequences": 20},
}

Fit = Callable[..., rnnlab.Run]

needs_pandas = pytest.mark.skipif(find_spec("pandas") is None, reason="needs the extra `data`")
