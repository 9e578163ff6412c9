"""Tasks and batches for the tests of tasks."""

from rnnlab.tasks import task_class
from rnnlab.tasks.base import AbstractTask
from rnnlab.testing._measuring import Measured, at_scored, batches, draw, lengths_to_try, short_lengths

__all__ = ["Measured", "at_scored", "batches", "build", "draw", "lengths_to_try", "short_lengths"]


def build(name: str) -> AbstractTask:
    return task_class(name)(task_class(name).Options(type=name))
