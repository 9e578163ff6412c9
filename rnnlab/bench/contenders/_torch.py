"""What PyTorch's contenders share: the head, the loss, autograd, clipping and `torch.optim.Adam`."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from rnnlab.bench.checking import Figures
from rnnlab.bench.contenders.base import AbstractContender, Array
from rnnlab.bench.work import BETA_1, BETA_2, CLIP_NORM, EPSILON, LEARNING_RATE

Tensor = Any


class AbstractTorch(AbstractContender):
    """Eager PyTorch, sequences time-major (T, B, feature), its own layout; Adam fused, its fastest form."""

    framework = "torch"
    packages = ("torch",)
    install = "pip install 'rnnlab[torch]'"

    def build(self) -> None:
        import torch

        torch.set_num_threads(self.threads)
        batch = self.work.batch()
        self._inputs = torch.from_numpy(batch.inputs.swapaxes(0, 1).copy())
        self._targets = torch.from_numpy(batch.targets)
        parameters = self.work.parameters()
        self._head = torch.nn.Linear(self.work.shape.units, 1)
        copy(self._head.weight, parameters["head.W"].T)
        copy(self._head.bias, parameters["head.b"])
        self._trained = [*self._prepare(), *self._head.parameters()]
        self._optimizer = torch.optim.Adam(
            self._trained, lr=LEARNING_RATE, betas=(BETA_1, BETA_2), eps=EPSILON, fused=True
        )

    def step(self) -> None:
        import torch

        self._optimizer.zero_grad()
        self._loss().backward()
        torch.nn.utils.clip_grad_norm_(self._trained, CLIP_NORM)
        self._optimizer.step()

    def figures(self) -> Figures | None:
        self._optimizer.zero_grad()
        loss = self._loss()
        loss.backward()
        head = {"head.W": self._head.weight.grad.T, "head.b": self._head.bias.grad}
        found = self._gradients()
        return (
            Figures(loss.item(), {name: tensor.numpy() for name, tensor in (found | head).items()}) if found else None
        )

    def product(self, matrix: Array) -> Callable[[], object]:
        import torch

        tensor = torch.from_numpy(matrix)
        return lambda: tensor @ tensor

    def kernels(self) -> str:
        import torch

        return str(torch.backends.cpu.get_cpu_capability())

    def _loss(self) -> Tensor:
        import torch

        return torch.nn.functional.mse_loss(self._head(self._features()), self._targets)

    @abstractmethod
    def _prepare(self) -> list[Tensor]:
        """Make the recurrent layers from the work's parameters and return what is trained of them."""

    @abstractmethod
    def _features(self) -> Tensor:
        """Return the top layer's last output, (B, H)."""

    @abstractmethod
    def _gradients(self) -> dict[str, Tensor]:
        """Return the gradient of each recurrent parameter by its full name; nothing for another function."""


def copy(tensor: Tensor, array: Array) -> None:
    """Fill a parameter with an array's values."""
    import torch

    with torch.no_grad():
        tensor.copy_(torch.from_numpy(array.copy()))
