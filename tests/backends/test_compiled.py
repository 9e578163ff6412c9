"""The parts of the compiled layers against NumPy, and the errors where they are not available."""

import ctypes
import importlib.util
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite import ir

from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.backends.numpy.compiled import _code, _layer, _product, compiled_layer
from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code, Vector
from rnnlab.backends.numpy.compiled._layer import padded_rows
from rnnlab.backends.numpy.compiled._machine import Program
from rnnlab.backends.numpy.compiled._product import TILE, gather, gathered, pack, product, tiles_of
from rnnlab.backends.numpy.layer import Tape
from rnnlab.core import activations
from rnnlab.core.errors import UsageError
from tests.cli.program import rnnlab
from tests.networks import batch, network, parameters

PRECISION = pytest.mark.parametrize("precision", ["float32", "float64"])


def apply(function: Callable[[Vector], Vector], x: np.ndarray) -> np.ndarray:
    """Compile f and call it on all of x."""
    module = ir.Module()
    code = Code(module, "f", places=2, numbers=1, precision=x.dtype.name)
    (source, target), (count,) = code.places, code.numbers
    with code.loop(count, step=code.lanes) as at:
        (target + at).write(function((source + at).read()))
    code.done()
    program, out = Program(module), np.full_like(x, 99)
    program.function("f", [ctypes.c_void_p] * 2 + [ctypes.c_int64])(x.ctypes.data, out.ctypes.data, x.size)
    return out


def call(program: Program, name: str, arrays: list[np.ndarray], numbers: list[int]) -> None:
    kinds = [ctypes.c_void_p] * len(arrays) + [ctypes.c_int64] * len(numbers)
    program.function(name, kinds)(*(array.ctypes.data for array in arrays), *numbers)


def visible(module: ir.Module) -> Program:
    """Compile functions that only others of their module can call otherwise."""
    for function in module.functions:
        function.linkage = ""
    return Program(module)


def random(*shape: int, precision: str) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(precision)


def test_tanh_is_within_five_units_in_the_last_place_of_a_double() -> None:
    x = np.concatenate([np.linspace(-12, 12, 2**16), np.geomspace(1e-30, 1, 2**16)]).astype("f4")
    exact = np.tanh(x.astype("f8"))
    assert np.abs((apply(functions.tanh, x) - exact) / np.spacing(np.abs(exact).astype("f4"))).max() < 5


def test_tanh_is_odd_and_knows_the_limits_and_what_is_no_number() -> None:
    x = np.resize(np.array([0.0, 0.5, 3.0, 1e30, np.inf, np.nan], "f4"), 48)
    y = apply(functions.tanh, x)
    assert np.array_equal(apply(functions.tanh, -x)[:5], -y[:5])
    assert y[0] == 0
    assert y[3] == y[4] == pytest.approx(1, abs=3e-7)
    assert np.isnan(y[5])


@PRECISION
@pytest.mark.parametrize("name", activations.names())
def test_activations_and_slopes_are_the_definitions(name: str, precision: str) -> None:
    f, x = activations.get(name), np.linspace(-9, 9, 512).astype(precision)
    y = f(np, x)
    tolerance = 4e-7 if precision == "float32" else 1e-15
    np.testing.assert_allclose(apply(lambda v: f(functions, v), x), y, rtol=0, atol=tolerance)
    np.testing.assert_allclose(apply(lambda v: f.slope(functions, v), y), f.slope(np, y), rtol=0, atol=tolerance)


@PRECISION
@pytest.mark.parametrize(("rows", "depth", "columns"), [(1, 1, 16), (8, 5, 32), (13, 7, 48), (24, 33, 80)])
def test_a_product_is_numpys(rows: int, depth: int, columns: int, precision: str) -> None:
    module = ir.Module()
    code = product(module, "p", rows=rows, depth=depth, precision=precision)
    weights, x = random(depth, rows, precision=precision), random(depth, columns, precision=precision)
    packed, c = np.empty(weights.size, precision), np.full((rows + 1, columns + 16), 99, precision)
    pack(weights, packed)
    call(visible(module), code.function.name, [packed, x, c], [columns, columns + 16, columns])
    np.testing.assert_allclose(c[:rows, :columns], weights.T @ x, rtol=0, atol=np.finfo(precision).eps * 8 * depth)
    assert (c[rows:] == 99).all()
    assert (c[:, columns:] == 99).all()


@PRECISION
@pytest.mark.parametrize(("rows", "others"), [(1, 1), (4, 8), (7, 5)])
def test_a_gathered_product_is_added(rows: int, others: int, precision: str) -> None:
    module = ir.Module()
    code = gather(module, "g", rows, others, precision=precision)
    a, b = random(rows, 96, precision=precision), random(others, 96, precision=precision)
    tiles = np.ones(TILE * prod(tiles_of(rows, others)), precision)
    call(visible(module), code.function.name, [a, b, tiles], [96, 96, 64])
    expected = 1 + a[:, :64] @ b[:, :64].T
    c = gathered(tiles, rows, others)
    np.testing.assert_allclose(c, expected, rtol=0, atol=np.finfo(precision).eps * 100)


@PRECISION
def test_rows_do_not_contend_for_the_cache(precision: str) -> None:
    """32 steps of 64 numbers are a whole number of pages in float64; their rows begin an odd number of lines apart."""
    array = padded_rows(Tape(), "x", (3, 32, 64), precision)
    assert array.shape == (3, 32, 64)
    assert array.strides[0] % 128 == 64
    assert array.ctypes.data % 64 == 0


@pytest.mark.parametrize("units", [1, 8, 19])
@pytest.mark.parametrize("batch_size", [1, 16, 21])
def test_sizes_that_fill_no_tile_and_no_vector(units: int, batch_size: int) -> None:
    net = network("carry", units=units, layers=2, precision="float32")
    data, given = batch(net, batch_size=batch_size, ragged=True), parameters(net)
    double = {name: array.astype("f8") for name, array in given.items()}
    loss, gradients = backend(compiled=True).build(net, parameters=given).loss_and_gradients(data)
    exact = NumpyBackend(reference=True).build(network("carry", units=units, layers=2), parameters=double)
    right_loss, right = exact.loss_and_gradients(data)
    assert loss == pytest.approx(right_loss, rel=1e-5)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, right[name], rtol=0, atol=1e-5 * max(1, np.abs(right[name]).max()))


@pytest.mark.parametrize(("size", "wide"), [(16, 2), (32, 1)], ids=["as on ARM", "as with AVX"])
@pytest.mark.parametrize("cell", ["simple", "carry"])
def test_processors_with_smaller_vectors(monkeypatch: pytest.MonkeyPatch, cell: str, size: int, wide: int) -> None:
    for module in (_code, _layer):
        monkeypatch.setattr(module, "vector_bytes", lambda: size)
    monkeypatch.setattr(_product, "vectors_a_tile", lambda: wide)
    monkeypatch.setattr(_layer, "_PROGRAMS", {})
    net = network(cell, sequences=True)
    data, given = batch(net, batch_size=9, ragged=True, holes=True), parameters(net)
    loss, gradients = backend(compiled=True).build(net, parameters=given).loss_and_gradients(data)
    right_loss, right = NumpyBackend(reference=True).build(net, parameters=given).loss_and_gradients(data)
    assert loss == pytest.approx(right_loss, rel=1e-12)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, right[name], rtol=0, atol=1e-12)


def backend(**options: Any) -> NumpyBackend:
    return NumpyBackend(options=NumpyOptions(**options), processes=1)


def test_the_provenance_records_what_compiled() -> None:
    facts = backend(compiled=True).facts(network("carry"))
    assert facts["path"] == "compiled"
    assert facts["compiler"].keys() == {"llvm", "processor", "vector_bits"}
    assert backend().facts(network("carry"))["path"] == "fast"


def test_a_cell_without_a_compiled_layer_is_refused() -> None:
    with pytest.raises(UsageError, match=r"numpy.compiled: the cell 'gru' has no compiled layer — leave it out; known"):
        compiled_layer("gru")


def test_without_llvm_a_training_begins_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llvmlite" else find(name))
    (tmp_path / "x.yaml").write_text("task: adding\nnumpy: {compiled: true}\n")
    result = rnnlab("train", tmp_path / "x.yaml", "--runs", tmp_path / "runs")
    assert result.code == 2
    assert "numpy.compiled: llvmlite is not installed, which makes machine code — pip install" in result.stderr
    assert not (tmp_path / "runs").exists()
