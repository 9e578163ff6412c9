"""Trainings side by side: the blocks that they ask for are computed together, and each trains as it would alone."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from typing import Generic, TypeVar, final

from rnnlab.training.blocks import Answer, Request, Training, resumed
from rnnlab.training.events import Event, Finished

R = TypeVar("R")
Ongoing = Generator[Request, Answer | None, R]  # a training that asks for blocks, and returns how it ended


@final
class Population(Generic[R]):
    """Some trainings, any number of which may be added while others are at work.

    Example:
        >>> def ended_at_once():
        ...     yield from ()
        ...     return "done"
        >>> population = Population()
        >>> population.add(ended_at_once()), len(population)
        ('done', 0)
    """

    def __init__(self) -> None:
        self._asking: list[tuple[Ongoing[R], Request]] = []

    def __len__(self) -> int:
        return len(self._asking)

    def add(self, training: Ongoing[R]) -> R | None:
        """Begin a training; return how it ended if it needs no block."""
        return self._advance(training, None)

    def train_block(self) -> list[R]:
        """Compute a block of updates in each training, and return how those ended that did.

        An error while a block is computed is raised in the trainings that it is of.
        """
        asking, self._asking = self._asking, []
        ended = []
        for together in _calls(asking):
            answers = _compute([request for _, request in together])
            for (training, _), answer in zip(together, answers, strict=True):
                if (result := self._advance(training, answer)) is not None:
                    ended.append(result)
        return ended

    def _advance(self, training: Ongoing[R], answer: Answer | Exception | None) -> R | None:
        try:
            request = resumed(training, answer)
        except StopIteration as end:
            result: R = end.value
            return result
        self._asking.append((training, request))
        return None


def _calls(asking: list[tuple[Ongoing[R], Request]]) -> list[list[tuple[Ongoing[R], Request]]]:
    """Return the requests in groups, each of which one call can compute."""
    groups: list[list[tuple[Ongoing[R], Request]]] = []
    for one in asking:
        fitting = (group for group in groups if not _apart(one[1], group[0][1]))
        if group := next(fitting, None):
            group.append(one)
        else:
            groups.append([one])
    return groups


def _apart(one: Request, other: Request) -> str:
    return one.backend.why_apart(one.model, other.model) if one.shape == other.shape else "their batches"


def _compute(requests: list[Request]) -> Sequence[Answer | Exception]:
    """Compute as many updates in each model as the shortest request is for."""
    began, updates = time.perf_counter(), min(request.updates for request in requests)
    batches = [request.batch.rows(0, updates * request.shape[0]) for request in requests]
    try:
        results = requests[0].backend.train_blocks([one.model for one in requests], batches, updates=updates)
    except Exception as error:
        return [error for _ in requests]
    return [Answer(result, time.perf_counter() - began, updates) for result in results]


def watched(training: Training, watch: Callable[[Event], None]) -> Ongoing[Finished | None]:
    """Yield the requests of a training, hand its events to `watch`, and return the last one."""
    finished: Finished | None = None
    answer: Answer | Exception | None = None
    with closing(training), suppress(StopIteration):
        while True:
            item, answer = resumed(training, answer), None
            if not isinstance(item, Request):
                watch(item)
                finished = item if isinstance(item, Finished) else None
                continue
            try:
                answer = yield item
            except Exception as error:
                answer = error
    return finished
