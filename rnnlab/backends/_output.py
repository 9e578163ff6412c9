"""The output layer: its options, its parameters, and its equation."""

from collections.abc import Mapping
from typing import final

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array
from rnnlab.core.options import Options
from rnnlab.core.parameters import Parameter


@final
class OutputOptions(Options):
    """The output layer: outputs = h·W + inputs·V + b, with h the last layer's output at a step."""

    bias: bool = Field(True, description="whether outputs have a bias b")
    inputs: bool = Field(
        False, description="whether outputs also read the inputs of the step, by a matrix V, as in some papers of 1997"
    )

    def parameters(self, reads: tuple[int, int], output_features: int) -> dict[str, Parameter]:
        """Return its parameters by full name, `head.W` (H, O), `head.V` (I, O), `head.b` (O,); `reads` is H and I."""
        units, input_features = reads
        described = {"head.W": Parameter((units, output_features), "kernel")}
        if self.inputs:
            described["head.V"] = Parameter((input_features, output_features), "kernel")
        if self.bias:
            described["head.b"] = Parameter((output_features,), "bias")
        return described


def raw_outputs(parameters: Mapping[str, Array], h: Array, inputs: Array) -> Array:
    """Return the raw outputs (N, O) of N steps.

    Args:
        parameters: Of the network, or of its output layer, by full name.
        h: The last layer's outputs, (N, H).
        inputs: Those of the network at the same steps, (N, I), which are read where there is a `head.V`.

    Example:
        >>> head = {"head.W": np.full((1, 1), 2.0), "head.V": np.full((1, 1), 3.0)}
        >>> raw_outputs(head, np.array([[10.0]]), np.array([[1.0]])).tolist()
        [[23.0]]
    """
    outputs = np.dot(h, parameters["head.W"])
    if "head.V" in parameters:
        outputs += np.dot(inputs, parameters["head.V"])
    if "head.b" in parameters:
        outputs += parameters["head.b"]
    return np.asarray(outputs)
