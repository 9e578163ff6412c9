"""A training so small that a test can work it out by hand, and its parts."""

from collections.abc import Callable

import rnnlab

SMALL = {
    "task": "parity",
    "shape": {"timesteps": 4},
    "cell": {"units": 4},
    "training": {"steps": 5, "batch_size": 6, "evaluate_every": 2, "stop_when_solved": False},
    "evaluation": {"sequences": 20},
}

Fit = Callable[..., rnnlab.Run]
