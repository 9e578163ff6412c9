"""PyTorch: `nn.RNN`, `nn.LSTM` and `nn.GRU`, and a loop over time under autograd for any cell."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.recurrence import AbstractNamespace, Recurrence
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE, Array, Figures, Work

_NAMES = {
    "hard_sigmoid": functional.hardsigmoid, "relu": torch.relu, "sigmoid": torch.sigmoid,
    "softsign": functional.softsign, "tanh": torch.tanh,
}  # fmt: skip


@final
class _Namespace(AbstractNamespace):
    def own_activation(self, name: str) -> Callable[[Tensor], Tensor] | None:
        return _NAMES.get(name)

    def joined(self, arrays: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(arrays), -1) if len(arrays) > 1 else arrays[0]

    def parts(self, array: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        found: Sequence[Tensor] = array.split(sizes, -1)
        return found

    def added(self, total: Tensor, *products: Tensor) -> Tensor:
        for x, matrix in zip(products[::2], products[1::2], strict=True):
            total = torch.addmm(total, x, matrix)
        return total

    def maximum(self, a: Tensor, b: Tensor | float) -> Tensor:
        return torch.maximum(a, b) if isinstance(b, Tensor) else a.clamp_min(b)

    def minimum(self, a: Tensor, b: Tensor | float) -> Tensor:
        return torch.minimum(a, b) if isinstance(b, Tensor) else a.clamp_max(b)

    def repeat(self, x: Tensor, repeats: int, axis: int) -> Tensor:
        return x.repeat_interleave(repeats, axis)

    def stop_gradient(self, x: Tensor | float) -> Tensor | float:
        return x.detach() if isinstance(x, Tensor) else x


class AbstractTorch(AbstractContender):
    """Eager PyTorch, sequences time-major (T, B, feature), its own layout; Adam fused, its fastest form.

    On a GPU where one is visible, where its layers are those of cuDNN.
    """

    def __init__(self, work: Work, *, engine: str = "", threads: int = 1) -> None:
        super().__init__(work, engine=engine, threads=threads)
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = False  # or products would be rounded to 10 bits
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        batch = work.batch()
        self._inputs, self._targets = self.tensor(batch.inputs.swapaxes(0, 1).copy()), self.tensor(batch.targets)
        self._p = self._prepare({name: self.tensor(array) for name, array in work.parameters().items()})
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
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def figures(self) -> Figures:
        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        return Figures(loss.item(), self._named({name: tensor.grad for name, tensor in self._p.items()}))

    def kernels(self) -> str:
        is_gpu = self._device.type == "cuda"
        return str(torch.cuda.get_device_name() if is_gpu else torch.backends.cpu.get_cpu_capability())

    def devices(self) -> list[str]:
        return [str(self._device)]

    def tensor(self, matrix: Array) -> Tensor:
        return torch.tensor(matrix, device=self._device)

    def _loss(self) -> Tensor:
        outputs = torch.addmm(self._p["head.b"], self._features(), self._p["head.W"])
        return functional.mse_loss(outputs, self._targets)

    def _prepare(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors to train by name, made from the parameters."""
        return given

    def _named(self, gradients: Mapping[str, Tensor]) -> dict[str, Array]:
        """Return the gradients of the tensors to train as those of the parameters."""
        return {name: gradient.cpu().numpy() for name, gradient in gradients.items()}

    @abstractmethod
    def _features(self) -> Tensor:
        """Return the top layer's last output, (B, H)."""


@final
class TorchLoop(AbstractTorch):
    """The cell's own equation, one step after the other; the products of the inputs, of all steps, before the loop."""

    def _prepare(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        self._layers = [
            Recurrence(_Namespace(torch), self.work.cell_of_it, features, early=True)
            for features in self.work.layer_inputs
        ]
        return given

    def _features(self) -> Tensor:
        outputs = self._inputs
        for number, layer in enumerate(self._layers):
            weights = layer.weights({name: self._p[full] for name, full in self.work.names(number).items()})
            states = tuple(outputs.new_zeros(outputs.shape[1], size) for size in layer.sizes)
            seen = []
            for xs in zip(*(one.unbind() for one in layer.before(weights, outputs)), strict=True):
                states = layer.step(xs, weights, states)
                seen.append(states[layer.output])
            outputs = torch.stack(seen) if number < len(self._layers) - 1 else states[layer.output][None]
        return outputs[-1]


class AbstractTorchLayer(AbstractTorch):
    """A layer of `torch.nn`, its loop in C++; its matrices are stored (out, in), the gates one upon another.

    Its second bias stays zero, but for the part that the GRU multiplies by r.

    Attributes:
        gates: The letters of the cell's gates, in the order of the layer.
        second: The names of the biases beside the products with the state; empty where the layer needs none.
    """

    gates: ClassVar[tuple[str, ...]]
    second: ClassVar[tuple[str, ...]] = ()

    _layer: torch.nn.RNNBase

    def _features(self) -> Tensor:
        return self._layer(self._inputs)[0][-1]

    def _prepare(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        shape, named = self.work.shape, {}
        zeros = np.zeros(shape.units, np.float32)
        self._layer = self._make(shape.input_features, shape.units, self.work.cell.layers).to(self._device)
        for layer in range(self.work.cell.layers):
            for theirs, ours in self._together().items():
                tensor = getattr(self._layer, f"{theirs}_l{layer}")
                parts = [given.get(f"layers.{layer}.{name}", self.tensor(zeros)) for name in ours]
                tensor.data.copy_(torch.cat(parts, -1).t())
                named[f"{theirs}_l{layer}"] = tensor
            second = getattr(self._layer, f"bias_hh_l{layer}")
            if self.second:
                trained = self.tensor(np.repeat([bool(name) for name in self.second], shape.units))
                second.register_hook(trained.mul)
            else:
                second.requires_grad_(False).zero_()
        return named | {name: given[name] for name in ("head.W", "head.b")}

    def _named(self, gradients: Mapping[str, Tensor]) -> dict[str, Array]:
        found = {name: gradients[name].cpu().numpy() for name in ("head.W", "head.b")}
        for layer in range(self.work.cell.layers):
            for theirs, ours in self._together().items():
                parts = gradients[f"{theirs}_l{layer}"].chunk(len(ours))
                found |= {
                    f"layers.{layer}.{name}": part.t().cpu().numpy() for name, part in zip(ours, parts, strict=True)
                }
        return found

    def _together(self) -> dict[str, tuple[str, ...]]:
        """Return which parameters lie side by side in which tensor."""
        tensors = {"weight_ih": "W", "weight_hh": "U", "bias_ih": "b"}
        found = {theirs: tuple(f"{letter}{gate}" for gate in self.gates) for theirs, letter in tensors.items()}
        return found | ({"bias_hh": self.second} if self.second else {})

    @abstractmethod
    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        """Return the layers."""


@final
class TorchRnn(AbstractTorchLayer):
    """`torch.nn.RNN`."""

    gates = ("",)

    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        return torch.nn.RNN(inputs, units, num_layers=layers, nonlinearity=self.work.cell.activation)


@final
class TorchLstm(AbstractTorchLayer):
    """`torch.nn.LSTM`."""

    gates = tuple("ifgo")

    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        return torch.nn.LSTM(inputs, units, num_layers=layers)


@final
class TorchGru(AbstractTorchLayer):
    """`torch.nn.GRU`, which resets after its product."""

    gates = tuple("rzn")
    second = ("", "", "bhn")

    def _make(self, inputs: int, units: int, layers: int) -> torch.nn.RNNBase:
        return torch.nn.GRU(inputs, units, num_layers=layers)
