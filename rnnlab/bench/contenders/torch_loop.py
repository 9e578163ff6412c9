"""The carry cell in plain PyTorch: a loop over time under autograd, as one writes a cell that `torch.nn` has not."""

from typing import Any, final

from rnnlab.bench.contenders._merged import merged, parted
from rnnlab.bench.contenders._torch import AbstractTorch
from rnnlab.bench.contenders.base import knows
from rnnlab.bench.work import Work

Tensor = Any
_ACTIVATIONS = {
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "relu": "relu",
    "softsign": "softsign",
    "hard_sigmoid": "hardsigmoid",
}


@final
class TorchLoop(AbstractTorch):
    """One product a step for all gates; the inputs' share for all steps before the loop."""

    @classmethod
    def suits(cls, work: Work) -> bool:
        return work.cell.type == "carry" and knows(work, frozenset(_ACTIVATIONS))

    def _prepare(self) -> list[Tensor]:
        import torch

        given = {name: array for name, array in merged(self.work).items() if not name.startswith("head.")}
        self._p = {name: torch.from_numpy(array.copy()).requires_grad_() for name, array in given.items()}
        options = self.work.cell.model_dump()
        names = _ACTIVATIONS[options["activation"]], _ACTIVATIONS[options["recurrent_activation"]]
        self._act, self._gate = (getattr(torch.nn.functional, name) for name in names)
        return list(self._p.values())

    def _features(self) -> Tensor:
        outputs = self._inputs
        for layer in range(self.work.cell.layers):
            outputs = self._run_layer(outputs, *(self._p[f"layers.{layer}.{name}"] for name in ("W", "U", "b", "Vo")))
        return outputs[-1]

    def _run_layer(self, inputs: Tensor, W: Tensor, U: Tensor, b: Tensor, Vo: Tensor) -> Tensor:
        import torch

        units, outputs = len(U), []
        h = c = inputs.new_zeros(inputs.shape[1], units)
        for x in (inputs @ W + b).unbind():
            gates, k, o = torch.addmm(x, h, U).split([2 * units, units, units], dim=1)
            i, f = self._gate(gates).chunk(2, dim=1)
            h, c = self._act(torch.addmm(o, c, Vo)), i * self._act(k) + c * f
            outputs.append(h)
        return torch.stack(outputs)  # (T, B, H)

    def _gradients(self) -> dict[str, Tensor]:
        import torch

        found = parted(self.work, {name: tensor.grad for name, tensor in self._p.items()})
        return {name: torch.from_numpy(array) for name, array in found.items()}


CONTENDER = TorchLoop
