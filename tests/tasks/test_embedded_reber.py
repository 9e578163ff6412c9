"""What is peculiar to the embedded Reber grammar: the two sets of strings, and what is legal in them."""

import re

import numpy as np
import pytest

from rnnlab.core.streams import stream
from rnnlab.tasks.embedded_reber import SYMBOLS, EmbeddedReber, EmbeddedReberOptions, _walks

# The grammar as one regular expression, written apart from the automaton; `M` is T or P before the maze, `X` after.
T_STATE = "T*V"
AFTER_P = f"{T_STATE}(PXT*V)*(PS|V)"
MAZE = f"B(TS*X(S|X{AFTER_P})|P{AFTER_P})E"
STRING = re.compile(f"B(T{MAZE}T|P{MAZE}P)E")


def strings(task: EmbeddedReber, draws: int = 6000) -> list[str]:
    batch = task.sample(stream(9, "data/train"), batch_size=draws, timesteps=task.default_timesteps)
    return [
        "".join(SYMBOLS[code] for code in [*inputs[:length].argmax(axis=-1), targets[length - 1]])
        for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths, strict=True)
    ]


def test_the_sets_are_256_different_strings_of_the_grammar_each() -> None:
    task = EmbeddedReber(EmbeddedReberOptions())
    train, validation = set(strings(task.part("train"))), set(strings(task.part("validation")))
    assert (len(train), len(validation), len(train & validation)) == (256, 256, 0)
    assert all(STRING.fullmatch(string) for string in train | validation)
    assert set(strings(task, 12_000)) == train | validation


def test_another_seed_gives_other_sets_and_the_same_seed_the_same() -> None:
    first, again, other = (
        strings(EmbeddedReber(EmbeddedReberOptions(set_seed=seed)).part("train"), 100) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_the_endless_language_has_mean_length_12_and_the_known_losses() -> None:
    walks = _walks(stream(2, "walks"), 60_000)
    lengths = np.array([len(walk) for walk in walks])
    assert lengths.mean() == pytest.approx(12, abs=0.08)
    assert (lengths - 5).sum() * np.log(2) / (lengths - 1).sum() == pytest.approx(7 * np.log(2) / 11, abs=2e-3)
    assert (lengths - 4).sum() * np.log(2) / (lengths - 1).sum() == pytest.approx(8 * np.log(2) / 11, abs=2e-3)


def test_forgetting_the_second_symbol_costs_ln_2_a_string_and_every_success() -> None:
    task = EmbeddedReber(EmbeddedReberOptions()).part("validation")
    low, high = task.default_timesteps
    batch = task.sample(stream(4, "data/validation"), batch_size=2000, timesteps=(low, high))
    forgetful = task.references((low, high))[1]
    steps = task._steps[256:]
    assert forgetful.loss - task.oracle_loss(task.default_timesteps) == pytest.approx(np.log(2) / steps.mean())
    outputs = forgetful.predict(batch)
    assert task.metrics(outputs, batch)["error_rate"] == 1.0
    outputs[np.arange(2000), batch.lengths - 2, 1] += 1.0  # always guess T
    assert task.metrics(outputs, batch)["long_memory_error_rate"] == pytest.approx(0.5, abs=0.1)


def test_each_half_has_an_oracle_loss_of_its_own() -> None:
    task = EmbeddedReber(EmbeddedReberOptions())
    for part, half in (("train", slice(0, 256)), ("validation", slice(256, 512))):
        steps = task._steps[half]
        assert task.part(part).oracle_loss(task.default_timesteps) == pytest.approx((1 - 4 / steps.mean()) * np.log(2))  # type: ignore[arg-type]


def test_lengths_pick_strings_and_are_refused_when_there_are_none() -> None:
    task = EmbeddedReber(EmbeddedReberOptions())
    batch = task.sample(stream(0, "data/train"), batch_size=200, timesteps=(12, 15))
    assert set(batch.lengths) == {12, 13, 14, 15}
    low, high = task.default_timesteps
    assert low == 8
    assert task.timesteps_fault((400, 500)) == (
        f"the grammar sets the lengths, 8 to {high} steps; no string of the train set has 400 to 500 steps"
    )
