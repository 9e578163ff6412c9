"""PyTorch: `nn.RNN`, `nn.LSTM`, and a loop over time under autograd for a cell that `torch.nn` does not have."""

from abc import abstractmethod
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from rnnlab.bench.contenders.base import AbstractContender, packed, unpacked
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

_OTHER_NAMES = {"hard_sigmoid": "hardsigmoid"}
_NAMES = {"W": "weight_ih", "U": "weight_hh", "b": "bias_ih"}


class AbstractTorch(AbstractContender):
    """Eager PyTorch, sequences time-major (T, B, feature), its own layout; Adam fused, its fastest form."""

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        torch.set_num_threads(threads)
        batch, parameters = work.batch(), work.parameters()
        self._inputs = torch.from_numpy(batch.inputs.swapaxes(0, 1).copy())
        self._targets = torch.from_numpy(batch.targets)
        self._head = torch.nn.Linear(work.shape.units, 1)
        _copy(self._head.weight, parameters["head.W"].T)
        _copy(self._head.bias, parameters["head.b"])
        self._trained = [*self._prepare(), *self._head.parameters()]
        self._optimizer = torch.optim.Adam(
            self._trained, lr=LEARNING_RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True
        )

    def step(self) -> None:
        self._optimizer.zero_grad()
        self._loss().backward()
        torch.nn.utils.clip_grad_norm_(self._trained, CLIP_NORM)
        self._optimizer.step()

    def figures(self) -> Figures | None:
        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        head = {"head.W": self._head.weight.grad.T.numpy(), "head.b": self._head.bias.grad.numpy()}
        found = self._gradients()
        return Figures(loss.item(), found | head) if found else None

    def product(self, matrix: Array) -> Callable[[], object]:
        tensor = torch.from_numpy(matrix)
        return lambda: tensor @ tensor

    def kernels(self) -> str:
        return str(torch.backends.cpu.get_cpu_capability())

    def _loss(self) -> Tensor:
        return functional.mse_loss(self._head(self._features()), self._targets)

    @abstractmethod
    def _prepare(self) -> list[Tensor]:
        """Make the recurrent layers from the work's parameters and return their trained tensors."""

    @abstractmethod
    def _features(self) -> Tensor:
        """Return the top layer's last output, (B, H)."""

    @abstractmethod
    def _gradients(self) -> dict[str, Array]:
        """Return the gradient of each recurrent parameter by its full name; empty for another function."""


@final
class TorchLoop(AbstractTorch):
    """One product per step for all gates; the product with the inputs, of all steps, before the loop."""

    def _prepare(self) -> list[Tensor]:
        given = {name: array for name, array in packed(self.work).items() if not name.startswith("head.")}
        self._p = {name: torch.from_numpy(array.copy()).requires_grad_() for name, array in given.items()}
        options = self.work.cell.model_dump()
        names = options["activation"], options["recurrent_activation"]
        self._act, self._gate = (getattr(functional, _OTHER_NAMES.get(name, name)) for name in names)
        return list(self._p.values())

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

    def _gradients(self) -> dict[str, Array]:
        return unpacked(self.work, {name: tensor.grad for name, tensor in self._p.items()})


@final
class TorchRnn(AbstractTorch):
    """`torch.nn.RNN`, its loop in C++; its second bias stays zero."""

    def _prepare(self) -> list[Tensor]:
        cell, shape = self.work.cell, self.work.shape
        self._rnn = torch.nn.RNN(
            shape.input_features, shape.units, num_layers=cell.layers, nonlinearity=cell.activation
        )
        for layer in range(cell.layers):
            getattr(self._rnn, f"bias_hh_l{layer}").requires_grad_(False).zero_()
        parameters = self.work.parameters()
        for name, tensor in self._named().items():
            _copy(tensor, parameters[name].T)
        return list(self._named().values())

    def _features(self) -> Tensor:
        return self._rnn(self._inputs)[0][-1]

    def _gradients(self) -> dict[str, Array]:
        gradients = {name: tensor.grad.numpy() for name, tensor in self._named().items()}
        return {name: array.T for name, array in gradients.items()}

    def _named(self) -> dict[str, Tensor]:
        layers = range(self.work.cell.layers)
        return {
            f"layers.{n}.{ours}": getattr(self._rnn, f"{theirs}_l{n}")
            for n in layers
            for ours, theirs in _NAMES.items()
        }


@final
class TorchLstm(AbstractTorch):
    """`torch.nn.LSTM`, another function beside the carry cell: as many gates, but no matrix from carry to output."""

    def _prepare(self) -> list[Tensor]:
        shape = self.work.shape
        self._lstm = torch.nn.LSTM(shape.input_features, shape.units, num_layers=self.work.cell.layers)
        return list(self._lstm.parameters())

    def _features(self) -> Tensor:
        return self._lstm(self._inputs)[0][-1]

    def _gradients(self) -> dict[str, Array]:
        return {}


def _copy(tensor: Tensor, array: Array) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(array.copy()))
