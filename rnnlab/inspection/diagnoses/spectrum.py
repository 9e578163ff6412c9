"""Eigenvalues and singular values of the recurrent matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.core.table import Column, Table, table
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis, Inspected, Numbers, shortened


@final
@dataclass(frozen=True, slots=True)
class Spectrum:
    """One recurrent matrix: eigenvalues, complex, the largest modulus, `radius`, first; singular values, descending."""

    eigenvalues: NDArray[np.complex128]
    singular_values: Numbers
    radius: float


@final
class Spectra(AbstractDiagnosis[Mapping[str, Spectrum]]):
    """The spectrum of every recurrent matrix that is square, by its full name; a vector is the diagonal of one."""

    position = 30
    needs_sequences = False

    def compute(self, inspected: Inspected) -> dict[str, Spectrum]:
        return {
            f"{layer.name}.{name}": spectrum(as_matrix(layer.parameters[name]))
            for layer in inspected.layers
            for name, parameter in layer.network.layer_parameters(layer.number).items()
            if parameter.role == "recurrent_kernel" and len(set(parameter.shape)) == 1
        }

    def table(self, found: Mapping[str, Spectrum]) -> Table:
        numbers = [Column(name, True, ".3f") for name in ("spectral radius", "largest singular value")]
        rows = [(name, one.radius, float(one.singular_values[0])) for name, one in shortened(found).items()]
        return table(["matrix", *numbers], rows)


def as_matrix(parameter: NDArray[Any]) -> NDArray[Any]:
    """Return a recurrent parameter as the matrix that it acts as."""
    return np.diag(parameter) if parameter.ndim == 1 else parameter


def spectrum(matrix: NDArray[Any]) -> Spectrum:
    """Return eigenvalues and singular values of a square matrix, the largest first.

    Example:
        A quarter turn that halves:

        >>> found = spectrum(np.array([[0.0, -0.5], [0.5, 0.0]]))
        >>> round(found.radius, 12), found.singular_values.tolist(), found.eigenvalues.round(3).tolist()
        (0.5, [0.5, 0.5], [0.5j, -0.5j])
    """
    values = np.linalg.eigvals(np.asarray(matrix, np.float64)).astype(np.complex128)
    ordered = values[np.lexsort((-values.imag, -values.real, -np.abs(values).round(12)))]
    singular = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    return Spectrum(ordered, singular, float(np.abs(ordered[0])))


DIAGNOSIS = Spectra()
