"""The parts of the compiled layers against NumPy, and the errors where they are not available."""

import ctypes
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite import ir

from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.backends.numpy.compiled import _code, _layer, _product
from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._layer import CompiledLayer
from rnnlab.backends.numpy.compiled._machine import Program, vector_bytes
from rnnlab.backends.numpy.compiled._product import gather, pack, product
from rnnlab.backends.numpy.compiled._values import Vector
from rnnlab.backends.numpy.layer import Tape
from rnnlab.backends.numpy.reference import ReferenceLayer
from rnnlab.cells.base import AbstractCell
from rnnlab.core import activations
from rnnlab.equations.plan import plan_of
from tests.cli.program import rnnlab
from tests.equations.test_derivative import CELLS_OF_TESTS
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
def test_exp_and_log_are_numpys(precision: str) -> None:
    """Also where e^x is no normal number or none at all, and of 0, of infinity and of what has no logarithm."""
    many = np.concatenate([np.linspace(-120, 120, 2**14), np.linspace(-1, 1, 2**14)])
    x, digits = np.append(many, np.resize([0, np.inf, -np.inf, np.nan], 64)).astype(precision), np.finfo(precision)
    with np.errstate(all="ignore"):
        expected = np.exp(x)
        logarithms = np.log(expected)
    np.testing.assert_allclose(
        apply(functions.exp, x), expected, rtol=8 * digits.eps, atol=4 * digits.smallest_subnormal
    )
    found = apply(functions.log, expected)
    np.testing.assert_allclose(found, logarithms, rtol=4 * digits.eps, atol=digits.eps)
    assert np.isnan(apply(functions.log, np.full(64, -1, precision))).all()


@PRECISION
@pytest.mark.parametrize("name", activations.names())
def test_activations_and_slopes_are_the_definitions(name: str, precision: str) -> None:
    f, x = activations.get(name), np.linspace(-9, 9, 512).astype(precision)
    y = f(np, x)
    tolerance = 4e-7 if precision == "float32" else 1e-15
    np.testing.assert_allclose(apply(lambda v: f(functions, v), x), y, rtol=0, atol=tolerance)
    np.testing.assert_allclose(apply(lambda v: f.slope(functions, v), y), f.slope(np, y), rtol=0, atol=tolerance)


@PRECISION
@pytest.mark.parametrize(("rows", "operands", "vectors"), [(1, (1,), 1), (13, (7, 2), 2), (30, (500, 9), 2)])
def test_a_product_is_numpys(rows: int, operands: tuple[int, ...], vectors: int, precision: str) -> None:
    """The first fills no tile, the last has two blocks of depth, the second of which reads both operands."""
    module, depth, columns = ir.Module(), sum(operands), vectors * vector_bytes() // np.dtype(precision).itemsize
    how: dict[str, Any] = {"columns": columns, "precision": precision}
    lays_out = pack(module, "p", (rows, depth), upright=False, **how)
    once, more = (product(module, f"p {adds}", (rows, depth), operands=operands, adds=adds, **how) for adds in (0, 1))
    program = visible(module)
    weights, x = random(depth, rows, precision=precision), random(depth, columns, precision=precision)
    packed, c = np.empty_like(weights), np.full((rows + 1, columns), 99, precision)
    call(program, lays_out.function.name, [weights, packed], [])
    for code in (once, more):
        call(program, code.function.name, [packed, c, *np.split(x, np.cumsum(operands)[:-1])], [])
    np.testing.assert_allclose(c[:rows], 2 * weights.T @ x, rtol=0, atol=np.finfo(precision).eps * 16 * depth)
    assert (c[rows:] == 99).all()


@PRECISION
@pytest.mark.parametrize(("rows", "others"), [(1, 1), (13, 8), (30, 70)])
def test_a_gathered_product_is_added(rows: int, others: int, precision: str) -> None:
    module, steps = ir.Module(), 30
    lanes = vector_bytes() // np.dtype(precision).itemsize
    across = -(-others // lanes) * lanes
    code = gather(module, "g", (rows, others), columns=lanes, stack_rows=rows + 2, precision=precision)
    s, d = random(steps, rows + 2, lanes, precision=precision), random(steps * lanes, across, precision=precision)
    panels = [d[:, start : start + 2 * lanes].ravel() for start in range(0, across, 2 * lanes)]
    c = np.ones((rows, across), precision)
    call(visible(module), code.function.name, [s, np.concatenate(panels), c], [steps])
    expected = 1 + s[:, :rows].swapaxes(0, 1).reshape(rows, -1) @ d
    np.testing.assert_allclose(c, expected, rtol=0, atol=np.finfo(precision).eps * 1000)


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


@pytest.mark.parametrize(("size", "registers"), [(16, 32), (32, 16)], ids=["as on ARM", "as with AVX"])
@pytest.mark.parametrize("cell", ["simple", "carry"])
def test_processors_with_smaller_vectors(monkeypatch: pytest.MonkeyPatch, cell: str, size: int, registers: int) -> None:
    for module in (_code, _layer):
        monkeypatch.setattr(module, "vector_bytes", lambda: size)
    monkeypatch.setattr(_product, "registers", lambda: registers)
    monkeypatch.setattr(_layer, "_functions", lru_cache(_layer._functions.__wrapped__))
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


def test_without_llvm_a_training_begins_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llvmlite" else find(name))
    (tmp_path / "x.yaml").write_text("task: adding\nnumpy: {compiled: true}\n")
    result = rnnlab("train", tmp_path / "x.yaml", "--runs", tmp_path / "runs")
    assert result.code == 5
    assert "numpy.compiled: llvmlite is not installed, which makes machine code — pip install" in result.stderr
    assert not (tmp_path / "runs").exists()
    checked = rnnlab("check", tmp_path / "x.yaml")
    assert checked.code == 0  # it may be installed where the training runs
    assert "rnnlab: warning: numpy.compiled: llvmlite is not installed" in checked.stderr


@pytest.mark.parametrize("cell", CELLS_OF_TESTS, ids=lambda cell: cell.name)
def test_any_equation_is_computed_as_the_reference_computes_it(cell: AbstractCell) -> None:
    """Three panels of columns, no input or state of which fills a vector, and gradients from every side."""
    rng, plan, timesteps = np.random.default_rng(5), plan_of(cell, 3), 4
    sizes = cell.state_sizes()
    given = {name: rng.normal(0, 0.5, parameter.shape) for name, parameter in cell.parameters(3).items()}
    state, later = ({name: rng.normal(0, 0.5, (37, size)) for name, size in sizes.items()} for _ in range(2))
    inputs = rng.normal(0, 1, (timesteps, 37, 3))
    from_above = [None if step == 1 else rng.normal(0, 1, (37, cell.options.units)) for step in range(timesteps)]
    found = []
    for kind in (CompiledLayer, ReferenceLayer):
        gradients = {name: np.zeros_like(array) for name, array in given.items()}
        layer, tape = kind(plan, given, gradients), Tape()
        layer.begin(np.dtype("f8"))
        outputs, after = layer.forward(inputs, state, tape)
        states = {name: array.copy() for name, array in layer.states(tape).items()}
        below, before = layer.backward(tape, from_above, state_gradient=later, need_inputs=True)
        layer.finish()
        found.append([outputs, below, *(each[name] for each in (after, states, before) for name in sizes)])
        found[-1] += list(gradients.values())
    for ours, right in zip(*found, strict=True):
        np.testing.assert_allclose(ours, right, rtol=0, atol=1e-12 * max(1, np.abs(right).max()))
