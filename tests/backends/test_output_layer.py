"""The output layer without a bias, and one that also reads the inputs of the step: on every path, as PyTorch has it."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from rnnlab.backends._output import OutputOptions
from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend, NumpyOptions
from rnnlab.cells import CELLS
from tests.backends.contenders import TOLERANCES, Contender, assert_close, reference
from tests.networks import batch, network, parameters, training

WAYS = [OutputOptions(bias=bias, inputs=inputs) for bias, inputs in product([True, False], repeat=2)]


def _named(output: OutputOptions) -> str:
    return f"bias-{output.bias}-inputs-{output.inputs}"


OUTPUT = pytest.mark.parametrize("output", WAYS, ids=_named)
READS = OutputOptions(bias=False, inputs=True)
SEQUENCES = pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])


def small(output: OutputOptions, **options: Any) -> Network:
    return replace(network(**options), output=output)


@SEQUENCES
@pytest.mark.parametrize(
    ("contender", "output"),
    [
        *product(["numpy-fast", "numpy-compiled"], WAYS[1:]),
        *product(["keras-derived", "keras-loop"], [READS]),
        pytest.param("keras-loop", WAYS[1], marks=pytest.mark.soak),
        pytest.param("keras-derived", WAYS[2], marks=pytest.mark.soak),
    ],
    indirect=["contender"],
    ids=lambda one: one if isinstance(one, str) else _named(one),
)
def test_every_path_agrees(contender: Contender, output: OutputOptions, sequences: bool) -> None:
    cell = "simple" if contender.precision == "float32" else "lstm"
    net = replace(contender.network(cell, sequences=sequences, layers=2), output=output)
    data, right = batch(net, ragged=True, holes=sequences), reference(net)
    model = contender.build(net, longest=9)
    outputs = {"y": model.predict(data.inputs, data.lengths).outputs[data.mask if sequences else slice(None)]}
    expected = {"y": right.predict(data.inputs, data.lengths).outputs[data.mask if sequences else slice(None)]}
    assert_close(outputs, expected, net, "outputs")
    loss, gradients = model.loss_and_gradients(data)
    right_loss, right_gradients = right.loss_and_gradients(data)
    assert loss == pytest.approx(right_loss, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, right_gradients, net, "gradients")


@SEQUENCES
@pytest.mark.parametrize(
    ("output", "layers"), [(WAYS[1], 2), (WAYS[2], 1), (READS, 2)], ids=["inputs", "no-bias", "both"]
)
def test_updates_in_lanes_are_those_of_the_loop(output: OutputOptions, sequences: bool, layers: int) -> None:
    pytest.importorskip("llvmlite")
    net = small(output, cell="lstm", sequences=sequences, loss="sigmoid_mse", layers=layers)
    in_lanes = NumpyBackend(options=NumpyOptions(compiled=True, lanes=True), processes=1)
    data, recipe = batch(net, batch_size=12, ragged=True), training("adam", bptt_steps=3 if layers == 2 else None)
    models = [
        backend.build(net, parameters=parameters(net), training=recipe)
        for backend in (in_lanes, NumpyBackend(processes=1))
    ]
    results = [model.train_block(data, updates=3) for model in models]
    np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=1e-11)
    np.testing.assert_allclose(results[0].outputs, results[1].outputs, rtol=1e-9, atol=1e-12)
    for name, array in models[1].parameters().items():
        np.testing.assert_allclose(models[0].parameters()[name], array, rtol=1e-8, atol=1e-11, err_msg=name)


def test_networks_with_other_output_layers_are_not_trained_together() -> None:
    pytest.importorskip("llvmlite")
    backend = NumpyBackend(options=NumpyOptions(compiled=True, lanes=True), processes=1)
    one, other = (
        backend.build(small(output), parameters=parameters(small(output)), training=training()) for output in WAYS[:2]
    )
    assert "output layer" in backend.why_apart(one, other)


def test_weights_of_printed_networks() -> None:
    """Hochreiter, Schmidhuber 1997: tables 2 (LSTM, p = 100) and 4."""
    kind = CELLS.get("lstm_1997")
    options = {"output_gate": False, "gate_feedback": False, "cell_feedback": False, "hidden_bias": "none"}
    lag = Network(kind(kind.Options(units=1, **options)), 101, 101, True, "sigmoid_mse_classes", "float32", READS)
    assert {name: one.shape for name, one in lag.parameters().items()} == {
        "layers.0.Wc": (101, 1), "layers.0.Wi": (101, 1), "head.W": (1, 101), "head.V": (101, 101),
    }  # fmt: skip
    assert sum(one.size for one in lag.parameters().values()) == 10504
    latch = Network(kind(kind.Options(units=3)), 1, 1, False, "sigmoid_mse", "float32", OutputOptions(bias=False))
    assert sum(one.size for one in latch.parameters().values()) == 102


@SEQUENCES
@OUTPUT
@pytest.mark.usefixtures("keras")  # TensorFlow does not start after PyTorch
def test_outputs_loss_and_gradients_are_those_of_pytorch(output: OutputOptions, sequences: bool) -> None:
    torch = pytest.importorskip("torch")
    net = small(output, cell="simple", sequences=sequences)
    data, given = batch(net, ragged=sequences, holes=sequences), parameters(net)
    assert [name for name in given if name.startswith("head.")] == [
        "head.W", *(["head.V"] if output.inputs else []), *(["head.b"] if output.bias else []),
    ]  # fmt: skip
    layer = torch.nn.RNN(net.input_features, net.cell.options.units, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", "W"), ("weight_hh_l0", "U"), ("bias_ih_l0", "b")):
            getattr(layer, name).copy_(torch.from_numpy(given[f"layers.0.{value}"].T))
        layer.bias_hh_l0.zero_()
    read = net.cell.options.units + net.input_features * output.inputs
    head = torch.nn.Linear(read, net.output_features, bias=output.bias, dtype=torch.float64)
    with torch.no_grad():
        matrices = [given[name] for name in ("head.W", "head.V") if name in given]
        head.weight.copy_(torch.from_numpy(np.concatenate(matrices).T))
        if output.bias:
            head.bias.copy_(torch.from_numpy(given["head.b"]))
    x = torch.from_numpy(data.inputs)
    h = layer(x)[0]
    raw = head(torch.cat([h, x], dim=-1) if output.inputs else h)
    scored = raw[torch.from_numpy(data.mask)]
    targets = data.targets[data.mask] if sequences else data.targets
    loss = torch.nn.functional.mse_loss(scored, torch.from_numpy(targets))
    loss.backward()

    model = Contender.named("numpy-fast", "").build(net)
    predicted = model.predict(data.inputs, data.lengths).outputs
    np.testing.assert_allclose(
        predicted[data.mask] if sequences else predicted, scored.detach().numpy(), rtol=1e-10, atol=1e-13
    )
    found, gradients = model.loss_and_gradients(data)
    assert found == pytest.approx(loss.item(), rel=1e-12)
    ours = np.concatenate([gradients[name] for name in ("head.W", "head.V") if name in gradients])
    np.testing.assert_allclose(ours, head.weight.grad.numpy().T, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gradients["layers.0.U"], layer.weight_hh_l0.grad.numpy().T, rtol=1e-10, atol=1e-14)
