"""PyTorch: eager, step by step."""

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import torch

from rnnlab.backends.keras.engines import base
from rnnlab.backends.keras.engines.base import AbstractEngine, Tensor, Tensors
from rnnlab.backends.keras.optimizer import KerasOptimizer
from rnnlab.core.batch import Array


@final
class TorchEngine(AbstractEngine):
    """Eager tensors, on a GPU where Keras finds one."""

    name = "torch"

    def __init__(self, cpus: int) -> None:
        torch.set_num_threads(cpus)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # as Keras chooses

    def facts(self) -> dict[str, Any]:
        return {
            "engine": self.name,
            "version": torch.__version__,
            "devices": [torch.cuda.get_device_name()] if torch.cuda.is_available() else ["cpu"],
            "threads": torch.get_num_threads(),
            "tf32": torch.backends.cuda.matmul.allow_tf32,
        }

    def tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device)

    def array(self, tensor: Tensor) -> Array:
        return np.array(tensor.detach().cpu().numpy())

    def scan(
        self, body: base.ScanBody, initial: Tensors, sequences: Tensors, *, widths: Sequence[int], reverse: bool = False
    ) -> base.Scanned:
        flowing, kept = list(initial), []
        steps = list(zip(*(sequence.unbind(0) for sequence in sequences), strict=True))
        for at in reversed(steps) if reverse else steps:
            flowing, keep = body(flowing, list(at))
            kept.append(keep)
        if reverse:
            kept.reverse()
        return flowing, [torch.stack(parts) for parts in zip(*kept, strict=True)]

    def with_gradient(self, forward: base.Forward, backward: base.Backward) -> base.Function:
        class _WithGradient(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, ...]:
                outputs, saved = forward(*given)
                ctx.save_for_backward(*saved)
                return outputs

            @staticmethod
            @torch.autograd.function.once_differentiable
            def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
                return backward(ctx.saved_tensors, gradients)

        applied: base.Function = _WithGradient.apply
        return applied

    def compile_function(self, function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
        compiled: Callable[..., Any] = torch.no_grad()(function)
        return compiled

    def compile_gradients(self, loss: base.Loss, *, xla: bool) -> base.Gradients:
        def gradients(values: Tensors, arrays: Tensors) -> tuple[Tensor, Tensor, list[Tensor]]:
            leaves = [value.detach().requires_grad_() for value in values]
            total, outputs = loss(leaves, arrays)
            found = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
            return total.detach(), outputs.detach(), list(found)

        return gradients

    def compile_block(
        self, loss: base.Loss, updater: KerasOptimizer, *, form: str, width: int, xla: bool
    ) -> base.Block:
        gradients = self.compile_gradients(loss, xla=xla)

        def run(arrays: Sequence[Array], rate: float) -> tuple[float, Array, float]:
            values = [variable.value for variable in updater.trained]
            total, outputs, found = gradients(values, [self.tensor(array) for array in arrays])
            with torch.no_grad():
                clipped, norm = updater.clipped(found)
                updater.rate.assign(rate)
                if bool(torch.isfinite(total) & torch.isfinite(norm)):  # else the last good weights stay
                    updater.apply(clipped)
            return float(total), self.array(outputs), float(norm)

        return base.stepwise(run)


ENGINE = TorchEngine
