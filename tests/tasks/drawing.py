"""Tasks and batches for the tests of tasks."""

from rnnlab.tasks import task_class
from rnnlab.tasks.base import AbstractTask
from rnnlab.testing._measuring import NUMBERS, Measured, batches, draw, lengths_to_try, short_lengths

__all__ = ["NUMBERS", "Measured", "batches", "build", "draw", "lengths_to_try", "short_lengths"]


def build(name: str) -> AbstractTask:
    return task_class(name)(task_class(name).Options(type=name))
