"""Keras callbacks on an rnnlab training: they hear what they would hear under `fit`, and may stop it."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from rnnlab.backends.base import AbstractObserver
from rnnlab.backends.keras.options import CallbackOptions
from rnnlab.core.errors import EnvironmentFault, UsageError
from rnnlab.core.registry import nearest

# A callback that changes what is trained would make a run that no longer repeats, resumes or agrees with NumPy.
_RATE = ("would set the learning rate", "use training.schedule")
_WEIGHTS = ("would change the weights", "weights/best.safetensors and checkpoints/ keep them")
# What these count decides when a training stops, or what is kept of it; a checkpoint remembers it.
_COUNTED = {
    "EarlyStopping": ("wait", "stopped_epoch", "best", "best_epoch"),
    "ModelCheckpoint": ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
}
_REFUSED = {
    "LearningRateScheduler": _RATE,
    "ReduceLROnPlateau": _RATE,
    "BackupAndRestore": _WEIGHTS,
    "SwapEMAWeights": _WEIGHTS,
}


@final
class KerasCallbacks(AbstractObserver):
    """Callbacks from `keras.callbacks`; what lies between two evaluations is their epoch.

    They are told `loss`, the mean over the epoch's steps (of the step alone at a step's end), and at the end of an
    epoch `val_loss` and `val_` before each other metric of the validation set. After a resume `EarlyStopping` and
    `ModelCheckpoint` go on counting where they were, and `CSVLogger` goes on in its file; others start anew.

    Args:
        model: The `keras.Model` that they are given.
        asked: What the config names.

    Raises:
        UsageError: There is no such callback, it does not take these options, or it would change what is trained.
    """

    def __init__(self, model: Any, asked: Sequence[CallbackOptions]) -> None:
        import keras

        self._model = model
        model.stop_training = False
        self._made = [_made(one, where=f"keras.callbacks[{number}]") for number, one in enumerate(asked)]
        self._callbacks = keras.callbacks.CallbackList(self._made, model=model)
        self._epoch, self._steps, self._loss = 0, 0, 0.0  # the sum of this epoch's losses
        self._counts: list[dict[str, Any]] = []

    @property
    def wants_stop(self) -> bool:
        return bool(self._model.stop_training)

    def state(self) -> dict[str, Any]:
        counts = [
            {name: value for name in _COUNTED.get(type(one).__name__, ()) if _is_plain(value := vars(one).get(name))}
            for one in self._made
        ]
        told = {"epoch": self._epoch, "steps": self._steps, "loss": self._loss}
        return {**told, "stop": self.wants_stop, "counts": counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._epoch, self._steps, self._loss = state["epoch"], state["steps"], state["loss"]
        self._model.stop_training, self._counts = state["stop"], state["counts"]
        for one in self._made:
            if type(one).__name__ == "CSVLogger":
                one.append = True

    def begin(self) -> None:
        self._told(self._callbacks.on_train_begin)
        self._told(self._callbacks.on_epoch_begin, self._epoch)
        for one, counts in zip(self._made, self._counts, strict=False):  # which they forgot as the training began
            vars(one).update(counts)

    def before_step(self) -> None:
        self._told(self._callbacks.on_train_batch_begin, self._steps)

    def after_step(self, loss: float) -> None:
        self._steps, self._loss = self._steps + 1, self._loss + loss
        self._told(self._callbacks.on_train_batch_end, self._steps - 1, {"loss": loss})

    def evaluated(self, metrics: Mapping[str, float]) -> None:
        if not self._steps:  # before the first step
            return
        logs = {"loss": self._loss / self._steps} | {f"val_{name}": one for name, one in metrics.items()}
        self._told(self._callbacks.on_epoch_end, self._epoch, logs)
        self._epoch, self._steps, self._loss = self._epoch + 1, 0, 0.0
        self._told(self._callbacks.on_epoch_begin, self._epoch)

    def end(self) -> None:
        self._told(self._callbacks.on_train_end)

    def _told(self, hear: Callable[..., None], *what: Any) -> None:
        try:
            hear(*what)
        except Exception as error:
            raise EnvironmentFault(
                f"a callback failed: {type(error).__name__}: {error}",
                where="keras.callbacks",
                hint="mend its options, or leave it out",
            ) from error


def _is_plain(value: Any) -> bool:
    """Say whether JSON can hold a number; a best value that is still infinite is as good as none."""
    return isinstance(value, int | float) and math.isfinite(value)


def _made(asked: CallbackOptions, *, where: str) -> Any:
    shelf, name = importlib.import_module("keras.callbacks"), asked.name.rpartition(".")[2]
    base = shelf.Callback
    known = [key for key, kind in vars(shelf).items() if isinstance(kind, type) and issubclass(kind, base)]
    if name not in known:
        raise UsageError(f"unknown callback {asked.name!r}", where=where, hint=nearest(name, known))
    refused = _WEIGHTS if asked.options.get("restore_best_weights") else _REFUSED.get(name)
    if refused:
        raise UsageError(f"{asked.name} {refused[0]}", where=where, hint=refused[1])
    try:
        return getattr(shelf, name)(**asked.options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{asked.name} does not take these options: {error}", where=where) from error
