"""Networks as ONNX files compute on onnxruntime what the reference computes, for every cell, batch size and length."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnlab.backends._output import OutputOptions
from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, CellOptions, Step
from rnnlab.core import activations
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.parameters import Parameter
from rnnlab.inspection.onnx_file import onnx_file
from tests.networks import network, parameters

SIZES = [(1, 1), (4, 7), (3, 40)]  # B, T


class Blocks(AbstractCell):
    """Two gates for blocks of features, and one of each function that the other cells do not have."""

    name, states = "blocks", ("c",)
    Options = CellOptions

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units = self.options.units
        sizes = {"W": (input_features, units), "U": (units, units), "G": (input_features, 1), "p": (units,)}
        return {name: Parameter(size, "kernel" if len(size) > 1 else "bias") for name, size in sizes.items()}

    def step(self, xp: Any, parameters: Any, inputs: Any, state: Any) -> Step:
        p, c = parameters, state["c"]
        gate = xp.repeat(xp.exp(-xp.abs(xp.matmul(inputs, p["G"]))), self.options.units, axis=-1)
        total = xp.matmul(inputs, p["W"]) + xp.matmul(c, p["U"]) + p["p"] * c
        candidate = xp.where(total > 0, xp.log(1 + xp.maximum(total, 0.0)), xp.minimum(total, 1.0) / 2)
        c = xp.stop_gradient(gate) * c + (1 - gate) * candidate
        return Step(output=xp.tanh(c) * xp.sqrt(gate + 1), state={"c": c})


def session(net: Network) -> Any:
    pytest.importorskip("onnx", reason="needs the extra `onnx`")
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    return runtime.InferenceSession(onnx_file(net, parameters(net)), providers=["CPUExecutionProvider"])


def assert_agrees(runner: Any, net: Network, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
    peer = NumpyBackend(reference=True).build(net, parameters=parameters(net))
    for size in sizes:
        x = np.random.default_rng(size).normal(size=(*size, net.input_features)).astype(net.dtype)
        (outputs,) = runner.run(None, {"inputs": x})
        assert outputs.dtype == net.dtype
        tolerance = {"float32": 1e-5, "float64": 1e-12}[net.precision]
        np.testing.assert_allclose(outputs, peer.predict(x).outputs, rtol=tolerance, atol=tolerance)


@pytest.mark.onnx
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS.names())
def test_it_agrees_and_names_its_axes(cell: str, layers: int, sequences: bool, precision: str) -> None:
    net = network(cell, layers=layers, sequences=sequences, precision=precision)
    runner = session(net)
    kind = {"float32": "tensor(float)", "float64": "tensor(double)"}[precision]
    (given,), (made,) = runner.get_inputs(), runner.get_outputs()
    assert (given.name, given.shape, given.type) == ("inputs", ["batch", "time", 3], kind)
    shape = ["batch", "time", 2] if sequences else ["batch", 2]
    assert (made.name, made.shape, made.type) == ("outputs", shape, kind)
    assert_agrees(runner, net)


@pytest.mark.onnx
@pytest.mark.parametrize("name", activations.names())
@pytest.mark.parametrize("cell", CELLS.names())
def test_it_knows_every_activation(cell: str, name: str) -> None:
    """In float32 as operators, with gates between 0 and 1; in float64, which has no rounding to grow, all as loops."""
    assert_agrees(session(net := network(cell, activation=name, sequences=True, precision="float32")), net)
    gates = {key: name for key in CELLS.get(cell).Options.model_fields if key == "recurrent_activation"}
    net = network(cell, activation=name, **gates, sequences=True, precision="float64")
    assert_agrees(session(net), net, SIZES[:2])  # with gates that have no bound, values grow without one


@pytest.mark.onnx
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_gru_that_resets_before_its_product(precision: str) -> None:
    net = network("gru", reset_after=False, sequences=True, precision=precision)
    assert_agrees(session(net), net)


@pytest.mark.onnx
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_cell_with_all_that_an_equation_may_have(layers: int, precision: str) -> None:
    options = CellOptions(type="blocks", units=4, layers=layers)
    net = replace(network("simple", sequences=True, precision=precision), cell=Blocks(options))
    assert_agrees(session(net), net)


@pytest.mark.onnx
def test_a_cell_is_an_operator_where_there_is_one() -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`")
    found = {}
    for cell in ("simple", "lstm", "gru", "carry"):
        net = network(cell, precision="float32")
        kinds = [node.op_type for node in onnx.load_from_string(onnx_file(net, parameters(net))).graph.node]
        found[cell] = [kind for kind in kinds if kind in {"RNN", "LSTM", "GRU", "Scan"}]
    assert found == {"simple": ["RNN"], "lstm": ["LSTM"], "gru": ["GRU"], "carry": ["Scan"]}


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize(("bias", "inputs"), [(False, True), (True, True), (False, False)])
def test_every_output_layer(bias: bool, inputs: bool, sequences: bool) -> None:
    net = replace(network("simple", layers=2, sequences=sequences), output=OutputOptions(bias=bias, inputs=inputs))
    assert_agrees(session(net), net)


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    net = network("simple")
    with pytest.raises(EnvironmentFault) as caught:
        onnx_file(net, parameters(net))
    assert caught.value.hint == "pip install 'rnnlab[onnx]'"
    assert caught.value.exit_code == 5
