"""The gradient by lag recorded during training: with each evaluation, of the weights of that moment."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.unrolled import layers_of, unroll
from rnnlab.config.experiment import Experiment
from rnnlab.core.streams import stream
from rnnlab.tasks.base import AbstractTask
from rnnlab.training.gradient_flow import gradient_flow

PREFIX = "gradient_flow/"  # of the names in a record
LAGS = f"{PREFIX}lags"

_SEQUENCES = 16
_MOST_LAGS = 128


@final
class FlowRecorder:
    """Looks at the same few sequences every time, so that what changes is the network.

    Args:
        experiment: The training.
        network: Its network.
        task: Its task.
    """

    def __init__(self, experiment: Experiment, network: Network, task: AbstractTask) -> None:
        self._network, self._loss = network, task.loss
        longest = experiment.timesteps[1]
        self._batch = task.part("validation").sample(
            stream(experiment.seed, "gradient_flow"), batch_size=_SEQUENCES, timesteps=(longest, longest)
        )

    def record(self, parameters: Mapping[str, NDArray[Any]]) -> dict[str, list[int] | list[float | None]]:
        """Return what to record: `gradient_flow/lags`, and for each state the median norm at each of these lags."""
        with np.errstate(over="ignore", invalid="ignore"):  # a network that diverges says so in its loss
            way = unroll(layers_of(self._network, parameters), self._batch.inputs, self._batch.lengths)
            flow = gradient_flow(way, (parameters["head.W"], parameters["head.b"]), self._batch, self._loss)
        places = np.unique(np.linspace(0, len(flow.lags) - 1, min(_MOST_LAGS, len(flow.lags))).round().astype(int))
        told: dict[str, list[int] | list[float | None]] = {LAGS: flow.lags[places].tolist()}
        for name, values in flow.median.items():
            told[PREFIX + name] = [float(f"{one:.6g}") if isfinite(one) else None for one in values[places].tolist()]
        return told
