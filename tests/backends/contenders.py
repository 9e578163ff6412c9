"""All ways in which rnnlab computes a network, and how close they must come to one another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from rnnlab.backends.base import AbstractBackend, AbstractModel, Network
from rnnlab.backends.keras import KerasBackend, KerasOptions
from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from tests.networks import network, parameters, training

NUMPY = ("numpy-fast", "numpy-compiled", "numpy-reference")
# Laid-out steps are compiled one by one, so that path is left out where there are many.
LOOPING = (*NUMPY, "keras-derived", "keras-loop")
ALL = (*LOOPING, "keras-unrolled")
Kind = Literal["outputs", "gradients", "trained"]
TOLERANCES: dict[str, dict[Kind, float]] = {
    "float64": {"outputs": 1e-12, "gradients": 1e-9, "trained": 1e-8},
    "float32": {"outputs": 1e-5, "gradients": 1e-4, "trained": 1e-3},
}
Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Contender:
    """A backend, set to one way of computing, and the finest precision that it has."""

    backend: AbstractBackend
    precision: str

    @classmethod
    def named(cls, name: str, engine: str) -> "Contender":
        """Return one of `ALL`, Keras on this engine."""
        if name in NUMPY:
            options = NumpyOptions(compiled=name == "numpy-compiled")
            return cls(NumpyBackend(reference=name == "numpy-reference", options=options), "float64")
        path = KerasOptions(path=name.removeprefix("keras-"))  # type: ignore[arg-type]
        return cls(KerasBackend(engine=engine, options=path), "float64" if engine == "tensorflow" else "float32")

    def network(self, cell: str = "carry", **options: Any) -> Network:
        """Return a small network in the finest precision, or another one."""
        return network(cell, **{"precision": self.precision, **options})

    def build(self, net: Network, given: Arrays | None = None, **recipe: Any) -> AbstractModel:
        """Return a model of these parameters, or of those of `tests.networks`."""
        return self.backend.build(net, parameters=given or parameters(net), training=training(**recipe))


def reference(net: Network, given: Arrays | None = None, **recipe: Any) -> AbstractModel:
    """Return the readable model of the same parameters, in float64."""
    double = {name: array.astype("f8") for name, array in (given or parameters(net)).items()}
    backend = NumpyBackend(reference=True)
    return backend.build(replace(net, precision="float64"), parameters=double, training=training(**recipe))


def assert_close(got: Arrays, expected: Arrays, net: Network, kind: Kind) -> None:
    """Compare arrays by name, each difference with the largest value of its array."""
    assert got.keys() == expected.keys()
    tolerance = TOLERANCES[net.precision][kind]
    for name, array in expected.items():
        bound = tolerance * max(1, np.abs(array).max())
        np.testing.assert_allclose(got[name], array, rtol=0, atol=bound, err_msg=name)


def assert_same_bits(got: Arrays, expected: Arrays) -> None:
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        assert array.dtype == got[name].dtype, name
        assert np.array_equal(array, got[name]), name
