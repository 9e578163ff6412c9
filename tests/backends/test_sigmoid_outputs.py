"""Squared error of sigmoids with classes: as with one-hot targets, on every engine, and as PyTorch has it."""

from dataclasses import replace

import numpy as np
import pytest

from rnnlab.core.losses import LOSSES
from tests.backends.contenders import TOLERANCES, Contender, assert_close, reference
from tests.networks import batch, parameters


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("contender", ["keras-derived"], indirect=True)
def test_every_loss_is_that_of_numpy(contender: Contender, loss: str) -> None:
    net = contender.network("simple", sequences=True, loss=loss)
    data = batch(net, ragged=True, holes=True)
    right_loss, right = reference(net).loss_and_gradients(data)
    found, gradients = contender.build(net, longest=9).loss_and_gradients(data)
    assert found == pytest.approx(right_loss, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, right, net, "gradients")


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize(
    "contender", ["numpy-reference", "numpy-fast", "numpy-compiled", "keras-derived", "keras-loop"], indirect=True
)
def test_classes_are_one_hot_targets(contender: Contender, sequences: bool) -> None:
    net = contender.network("simple", sequences=sequences, loss="sigmoid_mse_classes")
    data = batch(net, ragged=True, holes=sequences)
    one_hot = replace(data, targets=np.eye(net.output_features)[data.targets])
    right_loss, right = reference(replace(net, loss="sigmoid_mse")).loss_and_gradients(one_hot)
    loss, gradients = contender.build(net, longest=9).loss_and_gradients(data)
    assert loss == pytest.approx(right_loss, rel=TOLERANCES[net.precision]["outputs"])
    assert_close(gradients, right, net, "gradients")


@pytest.mark.usefixtures("keras")  # TensorFlow does not start after PyTorch
def test_the_loss_and_its_gradient_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    net = Contender.named("numpy-fast", "").network("simple", loss="sigmoid_mse_classes")
    data, given = batch(net), parameters(net)
    layer = torch.nn.RNN(net.input_features, net.cell.options.units, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", "W"), ("weight_hh_l0", "U"), ("bias_ih_l0", "b")):
            getattr(layer, name).copy_(torch.from_numpy(given[f"layers.0.{value}"].T))
        layer.bias_hh_l0.zero_()
    head = torch.from_numpy(given["head.W"]).requires_grad_()
    outputs = layer(torch.from_numpy(data.inputs))[0][:, -1] @ head + torch.from_numpy(given["head.b"])
    targets = torch.nn.functional.one_hot(torch.from_numpy(data.targets), net.output_features).double()
    theirs = torch.nn.functional.mse_loss(torch.sigmoid(outputs), targets)
    theirs.backward()
    loss, gradients = Contender.named("numpy-fast", "").build(net).loss_and_gradients(data)
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(gradients["head.W"], head.grad.numpy(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gradients["layers.0.U"], layer.weight_hh_l0.grad.numpy().T, rtol=1e-10, atol=1e-14)
