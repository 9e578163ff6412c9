"""Truncated back-propagation: how many steps are taught, and PyTorch's gradients where its states are detached."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.chunks import chunks, reach
from rnnlab.core.batch import Batch
from tests.backends.contenders import Contender, assert_close
from tests.networks import batch, parameters

T = 100
LENGTHS = np.array([100, 95, 81])


def steps_taught(contender: Contender, window: int | None) -> list[int]:
    """Return at how many steps of each sequence the input has a gradient, of a loss at the last step.

    Every step of every sequence sets an input of its own to 1, so that the gradient of this input's weights is that
    step's alone; the recurrence is linear and loses nothing.
    """
    net = contender.network("simple", activation="linear", units=4)
    net = replace(net, input_features=len(LENGTHS) * T)
    given = parameters(net) | {"layers.0.U": np.eye(4, dtype=net.dtype)}
    inputs = np.eye(len(LENGTHS) * T).reshape(len(LENGTHS), T, -1)
    mask = np.arange(T) == LENGTHS[:, None] - 1
    data = Batch(inputs, np.full((len(LENGTHS), 2), 9.0), mask, LENGTHS)
    gradient = contender.build(net, given, bptt_steps=window).loss_and_gradients(data)[1]["layers.0.W"]
    taught = (gradient.reshape(len(LENGTHS), T, 4) != 0).any(axis=2)
    for row, length in zip(taught, LENGTHS, strict=True):  # the last steps, without a gap
        assert row[length - row.sum() : length].all()
    return [int(row.sum()) for row in taught]


@pytest.mark.parametrize(
    ("contender", "windows"),
    [
        ("numpy-fast", (1, 20, 30, 50, 81, 99, 100, None)),
        ("numpy-compiled", (20, 30, 99, 100)),
        ("numpy-reference", (30, 99)),
        ("keras-derived", (30, 99)),
        pytest.param("keras-derived", (1, 20, 50, 100, None), marks=pytest.mark.soak),
        ("keras-loop", (99,)),
        pytest.param("keras-loop", (20, 30, 100, None), marks=pytest.mark.soak),
    ],
    indirect=["contender"],
)
def test_a_longer_window_teaches_more_steps(contender: Contender, windows: tuple[int | None, ...]) -> None:
    """As many as the window has, of each sequence counted from its own end, at whatever step the batch ends."""
    for window in windows:
        assert steps_taught(contender, window) == [min(window or T, length) for length in LENGTHS.tolist()]


def torch_gradients(net: Network, data: Batch, window: int) -> dict[str, Any]:
    """The simple cell in a loop, each sequence's state detached where a window begins."""
    torch = pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    own = {name: torch.tensor(array.astype("f8"), requires_grad=True) for name, array in parameters(net).items()}
    h, losses = torch.zeros(data.size, net.cell.options.units, dtype=torch.float64), []
    for t in range(data.inputs.shape[1]):
        begins = torch.tensor((data.lengths - t) % window == 0)
        h = torch.where(begins[:, None], h.detach(), h)
        h = torch.tanh(torch.tensor(data.inputs[:, t]) @ own["layers.0.W"] + h @ own["layers.0.U"] + own["layers.0.b"])
        rows = np.flatnonzero(data.mask[:, t])
        targets = data.targets[rows, t] if net.return_sequences else data.targets[rows]
        outputs = h[rows] @ own["head.W"] + own["head.b"]
        losses.append(((outputs - torch.tensor(targets)) ** 2).mean(dim=1).sum())
    (sum(losses) / int(data.mask.sum())).backward()
    return {name: tensor.grad.numpy() for name, tensor in own.items()}


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
@pytest.mark.parametrize(
    "contender",
    ["numpy-fast", "numpy-compiled", "numpy-reference", "keras-derived", "keras-loop"],
    indirect=True,
)
def test_gradients_are_those_of_pytorch_with_detached_states(contender: Contender, sequences: bool) -> None:
    net = contender.network("simple", sequences=sequences)
    data = batch(net, batch_size=5, timesteps=11, ragged=True, holes=sequences)
    assert len(set(data.lengths)) > 2
    expected = torch_gradients(net, data, 4)
    assert_close(contender.build(net, bptt_steps=4).loss_and_gradients(data)[1], expected, net, "gradients")
    whole = contender.build(net).loss_and_gradients(data)[1]
    assert max(np.abs(whole[name] - array).max() for name, array in expected.items()) > 1e-3  # what is cut counts


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequence"])
def test_recomputed_states_and_shards_change_nothing_but_rounding(sequences: bool) -> None:
    contender = Contender.named("numpy-fast", "")
    net = contender.network("carry", sequences=sequences, layers=2, units=32)
    data = batch(net, batch_size=40, timesteps=50, ragged=True)
    ways = [contender.build(net, bptt_steps=7, recompute=how) for how in ("off", "sqrt")]
    ways.append(Contender.named("numpy-reference", "").build(net, bptt_steps=7))
    first, *others = (model.loss_and_gradients(data)[1] for model in ways)
    for other in others:
        assert_close(other, first, net, "gradients")


def test_windows_take_no_more_memory_than_they_say() -> None:
    """The steps of a part, which are kept at once, are what `reach` says for the steps that have a gradient."""
    for lengths in ([100, 100], [100, 95, 81], [30, 9]):
        for every_step in (False, True):
            for window in (None, 1, 20, 99, 200):
                parts = chunks(np.array(lengths), rows_at_once=8, window=window, every_step=every_step)
                spans = [part[-1].stop - part[0].start for part in parts]
                most = reach(max(lengths), min(lengths), window=window, every_step=every_step)
                assert (sum(spans), spans[-1]) == (max(lengths), most)
                assert max(spans) == most
