"""PyTorch's `nn.RNN`: the simple cell, its loop in C++."""

from typing import Any, final

from rnnlab.bench.contenders._torch import AbstractTorch, copy
from rnnlab.bench.work import Work

Tensor = Any
_NAMES = {"W": "weight_ih", "U": "weight_hh", "b": "bias_ih"}


@final
class TorchRnn(AbstractTorch):
    """`torch.nn.RNN`, whose second bias is held at zero."""

    @classmethod
    def suits(cls, work: Work) -> bool:
        return work.cell.type == "simple" and work.cell.activation in {"tanh", "relu"}

    def _prepare(self) -> list[Tensor]:
        import torch

        cell, shape = self.work.cell, self.work.shape
        self._rnn = torch.nn.RNN(
            shape.input_features, shape.units, num_layers=cell.layers, nonlinearity=cell.activation
        )
        for layer in range(cell.layers):
            second = getattr(self._rnn, f"bias_hh_l{layer}")
            second.requires_grad_(False).zero_()
        parameters = self.work.parameters()
        for name, tensor in self._named().items():
            copy(tensor, parameters[name].T)
        return list(self._named().values())

    def _features(self) -> Tensor:
        return self._rnn(self._inputs)[0][-1]

    def _gradients(self) -> dict[str, Tensor]:
        return {name: tensor.grad.mT if tensor.ndim == 2 else tensor.grad for name, tensor in self._named().items()}

    def _named(self) -> dict[str, Tensor]:
        layers = range(self.work.cell.layers)
        return {
            f"layers.{n}.{ours}": getattr(self._rnn, f"{theirs}_l{n}")
            for n in layers
            for ours, theirs in _NAMES.items()
        }


CONTENDER = TorchRnn
