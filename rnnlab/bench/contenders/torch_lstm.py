"""PyTorch's `nn.LSTM`, beside the carry cell: as many gates, another function, and a kernel of its own on the CPU."""

from typing import Any, final

from rnnlab.bench.contenders._torch import AbstractTorch
from rnnlab.bench.work import Work

Tensor = Any


@final
class TorchLstm(AbstractTorch):
    """`torch.nn.LSTM`, which has no matrix from the carry to the output: a fifth less work between states."""

    same_function = False

    @classmethod
    def suits(cls, work: Work) -> bool:
        return work.cell.type == "carry"

    def _prepare(self) -> list[Tensor]:
        import torch

        shape = self.work.shape
        self._lstm = torch.nn.LSTM(shape.input_features, shape.units, num_layers=self.work.cell.layers)
        return list(self._lstm.parameters())

    def _features(self) -> Tensor:
        return self._lstm(self._inputs)[0][-1]

    def _gradients(self) -> dict[str, Tensor]:
        return {}


CONTENDER = TorchLstm
