"""PyTorch: `nn.RNN`, `nn.LSTM`, and a loop over time under autograd for a cell that `torch.nn` does not have."""

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from rnnlab.bench.contenders.base import AbstractContender, packed, unpacked
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

_OTHER_NAMES = {"hard_sigmoid": "hardsigmoid"}


class AbstractTorch(AbstractContender):
    """Eager PyTorch, sequences time-major (T, B, feature), its own layout; Adam fused, its fastest form."""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        torch.set_num_threads(threads)
        batch = work.batch()
        self._inputs, self._targets = torch.from_numpy(batch.inputs.swapaxes(0, 1).copy()), torch.tensor(batch.targets)
        self._p = self._prepare({name: torch.tensor(array) for name, array in packed(work).items()})
        for tensor in self._p.values():
            tensor.requires_grad_()
        self._optimizer = torch.optim.Adam(
            self._p.values(), lr=LEARNING_RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True
        )

    def step(self) -> None:
        self._optimizer.zero_grad()
        self._loss().backward()
        torch.nn.utils.clip_grad_norm_(self._p.values(), CLIP_NORM)
        self._optimizer.step()

    def figures(self) -> Figures | None:
        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        return Figures(loss.item(), unpacked(self.work, {name: self._gradient(name) for name in self._p}))

    def kernels(self) -> str:
        return str(torch.backends.cpu.get_cpu_capability())

    def tensor(self, matrix: Array) -> Tensor:
        return torch.from_numpy(matrix)

    def _loss(self) -> Tensor:
        outputs = torch.addmm(self._p["head.b"], self._features(), self._p["head.W"])
        return functional.mse_loss(outputs, self._targets)

    def _gradient(self, name: str) -> Tensor:
        return self._p[name].grad

    @abstractmethod
    def _prepare(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors to train by name, made from the packed parameters."""

    @abstractmethod
    def _features(self) -> Tensor:
        """Return the top layer's last output, (B, H)."""


@final
class TorchLoop(AbstractTorch):
    """One product per step for all gates; the product with the inputs, of all steps, before the loop."""

    def _prepare(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        options = self.work.cell.model_dump()
        names = options["activation"], options["recurrent_activation"]
        self._act, self._gate = (getattr(functional, _OTHER_NAMES.get(name, name)) for name in names)
        return given

    def _features(self) -> Tensor:
        outputs = self._inputs
        for layer in range(self.work.cell.layers):
            outputs = self._run_layer(outputs, *(self._p[f"layers.{layer}.{name}"] for name in ("W", "U", "b", "Vo")))
        return outputs[-1]

    def _run_layer(self, inputs: Tensor, W: Tensor, U: Tensor, b: Tensor, Vo: Tensor) -> Tensor:
        units, outputs = len(U), []
        h = c = inputs.new_zeros(inputs.shape[1], units)
        for x in (inputs @ W + b).unbind():
            gates, k, o = torch.addmm(x, h, U).split([2 * units, units, units], dim=1)
            i, f = self._gate(gates).chunk(2, dim=1)
            h, c = self._act(torch.addmm(o, c, Vo)), i * self._act(k) + c * f
            outputs.append(h)
        return torch.stack(outputs)  # (T, B, H)


class AbstractTorchLayer(AbstractTorch):
    """A layer of `torch.nn`, its loop in C++; its second bias stays zero. Its matrices are stored (out, in)."""

    _layer: torch.nn.RNNBase

    def _features(self) -> Tensor:
        return self._layer(self._inputs)[0][-1]

    def _gradient(self, name: str) -> Tensor:
        gradient = super()._gradient(name)
        return gradient if name.startswith("head.") else gradient.t()

    def _prepare(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        cell, shape = self.work.cell, self.work.shape
        self._layer = self._make(shape.input_features, shape.units, cell.layers)
        named = {}
        for layer in range(cell.layers):
            getattr(self._layer, f"bias_hh_l{layer}").requires_grad_(False).zero_()
            for ours, theirs in {"W": "weight_ih", "U": "weight_hh", "b": "bias_ih"}.items():
                name = f"layers.{layer}.{ours}"
                named[name] = getattr(self._layer, f"{theirs}_l{layer}")
                named[name].data.copy_(given[name].t())
        return named | {name: given[name] for name in ("head.W", "head.b")}

    @abstractmethod
    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        """Return the layers."""


@final
class TorchRnn(AbstractTorchLayer):
    """`torch.nn.RNN`."""

    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        return torch.nn.RNN(inputs, units, num_layers=layers, nonlinearity=self.work.cell.activation)


@final
class TorchLstm(AbstractTorchLayer):
    """`torch.nn.LSTM`, another function beside the carry cell: as many gates, but no matrix from carry to output."""

    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        return torch.nn.LSTM(inputs, units, num_layers=layers)

    def figures(self) -> None:
        return None
