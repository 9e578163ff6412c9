"""What is peculiar to the embedded Reber grammar: its odds, the sets of strings, and what is legal in them."""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from rnnlab.core.batch import Array, Batch
from rnnlab.core.streams import stream
from rnnlab.tasks._reber import SYMBOLS, language
from rnnlab.tasks.base import AbstractTask
from rnnlab.tasks.embedded_reber import EmbeddedReber, EmbeddedReberDistinct, EmbeddedReberOptions
from tests.tasks.drawing import Measured, at_scored

# The grammar as one regular expression, written apart from the automaton; `M` is T or P before the maze, `X` after.
T_STATE = "T*V"
AFTER_P = f"{T_STATE}(PXT*V)*(PS|V)"
MAZE = f"B(TS*X(S|X{AFTER_P})|P{AFTER_P})E"
STRING = re.compile(f"B(T{MAZE}T|P{MAZE}P)E")


def strings(task: AbstractTask, draws: int = 6000) -> list[str]:
    batch = task.sample(stream(9, "data/train"), batch_size=draws, timesteps=task.default_timesteps)
    return [
        "".join(SYMBOLS[code] for code in [*inputs[:length].argmax(axis=-1), targets[length - 1]])
        for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths, strict=True)
    ]


def test_training_draws_from_256_strings_with_repetitions_and_validation_from_the_language() -> None:
    task = EmbeddedReber(EmbeddedReberOptions())
    train, validation = strings(task.part("train"), 20_000), strings(task.part("validation"), 20_000)
    assert all(STRING.fullmatch(string) for string in {*train, *validation})
    counts = {string: 256 * n / 20_000 for string, n in Counter(train).items()}
    assert 70 < len(counts) < 140  # of 256, so most repeat
    assert min(counts.values()) == pytest.approx(1, abs=0.4)
    assert counts["BTBPVVETE"] == pytest.approx(256 / 16, abs=12)  # four choices of its own
    assert len(set(validation)) > 1000


def test_both_ways_are_equally_likely_at_every_branch_and_strings_have_12_symbols_in_the_mean() -> None:
    """Counted by regular expressions of what comes before, not by the automaton; the audit of odds found 20 to 80."""
    found = strings(EmbeddedReber(EmbeddedReberOptions()).part("validation"), 20_000)
    assert np.mean([len(string) for string in found]) == pytest.approx(12, abs=0.14)
    for before, ways in {"^B": "TP", "^.{2}B": "TP", "^.{2}BT": "SX", "^.{2}BP": "TV"}.items():
        after = Counter(match[1] for string in found if (match := re.match(f"{before}([{ways}])", string)))
        first, second = (after[way] for way in ways)
        assert first / (first + second) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(first + second)), before


def test_the_losses_of_the_language_are_those_worked_by_hand() -> None:
    task = EmbeddedReber(EmbeddedReberOptions())
    assert task.oracle_loss(task.default_timesteps) == pytest.approx(7 * np.log(2) / 11, abs=1e-5)
    assert task.references(task.default_timesteps)[1].loss == pytest.approx(8 * np.log(2) / 11, abs=1e-5)


def test_statistics_of_a_range_of_lengths_agree_with_all_strings_counted() -> None:
    """Every string of up to 12 steps, from the regular expression of the language, by its probability at even odds."""
    found = {string for string in strings(EmbeddedReber(EmbeddedReberOptions()), 20_000) if len(string) <= 13}
    odds = {string: 0.5 ** (len(string) - 5) for string in found}
    assert 0.5 < sum(odds.values()) < 1
    known = language((9, 12))
    chosen = {string: p for string, p in odds.items() if len(string) >= 10}
    total = sum(chosen.values())
    assert known.mean_steps == pytest.approx(sum(p * (len(string) - 1) for string, p in chosen.items()) / total)
    pairs = np.zeros((7, 7))
    for string, p in chosen.items():
        for a, b in pairwise(map(SYMBOLS.index, string)):
            pairs[a, b] += p / total
    np.testing.assert_allclose(known.pairs, pairs, atol=1e-12)


def test_a_validation_of_2560_strings_has_what_the_card_says() -> None:
    unseen, different, covered, paper = [], [], [], []
    for seed in range(8):
        task = EmbeddedReber(EmbeddedReberOptions(set_seed=seed))
        train, drawn = set(strings(task.part("train"), 4000)), strings(task.part("validation"), 12_000)
        others = [string for string in drawn[:2560] if string not in train]
        unseen.append(len(others))
        different.append(len(set(others)))
        covered.append(len(train & set(drawn[:2560])) / len(train))
        paper.append(len(set([string for string in drawn if string not in train][:256])))
    means = [float(np.mean(one)) for one in (unseen, different, covered, paper)]
    assert means == [
        pytest.approx(640, abs=40),
        pytest.approx(320, abs=25),
        pytest.approx(0.77, abs=0.03),
        pytest.approx(170, abs=8),
    ]


def test_nothing_learned_from_the_training_strings_scores_below_the_oracle() -> None:
    """Frequencies of what follows the last k symbols; of sets without repetition they had 0.484, even odds 0.53."""
    for seed in range(3):
        task = EmbeddedReber(EmbeddedReberOptions(set_seed=seed))
        batch = task.part("validation").sample(stream(seed, "test"), batch_size=1500, timesteps=task.default_timesteps)
        oracle = task.oracle_loss(task.default_timesteps)
        train = strings(task.part("train"), 2000)
        for context in (1, 4, 50):
            found = Measured()
            found.add(task, at_scored(task, learned(train, batch, task, context=context), batch), batch)
            assert found.loss > oracle - 3 * found.error


def learned(train: list[str], batch: Batch, task: EmbeddedReber, *, context: int) -> Array:
    """The frequencies after the longest known context of at most so many symbols, over the legal ones, as logits."""
    counts: dict[str, Array] = defaultdict(lambda: np.zeros(7))
    for string in train:
        for t in range(1, len(string)):
            for k in range(min(context, t) + 1):
                counts[string[t - k : t]][SYMBOLS.index(string[t])] += 1
    legal = task.oracle(batch)
    outputs = legal.copy()
    for row, length in enumerate(batch.lengths):
        string = "".join(SYMBOLS[code] for code in batch.inputs[row, :length].argmax(axis=-1))
        for t in range(length):
            known = next(
                part for k in range(min(context, t + 1), -1, -1) if (part := string[t + 1 - k : t + 1]) in counts
            )
            outputs[row, t] += np.log(counts[known] + 0.5)
    return outputs


def test_sets_without_repetition_are_256_different_strings_each() -> None:
    task = EmbeddedReberDistinct(EmbeddedReberOptions(type="embedded_reber@distinct"))
    sets = [set(strings(task.part(part), 4000)) for part in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert [len(one) for one in sets] == [256, 256, 256]
    assert len(set.union(*sets)) == 768
    assert all(STRING.fullmatch(string) for string in set.union(*sets))
    for part, one in zip(("train", "validation", "test"), sets, strict=True):
        steps = np.mean([len(string) - 1 for string in one])
        assert task.part(part).oracle_loss(task.default_timesteps) == pytest.approx(np.log(256) / steps)  # type: ignore[arg-type]
        even = task.part(part).references(task.default_timesteps)[-1]  # type: ignore[arg-type]
        assert even.loss == pytest.approx((1 - 4 / steps) * np.log(2))


@pytest.mark.parametrize("kind", [EmbeddedReber, EmbeddedReberDistinct])
def test_another_seed_gives_other_sets_and_the_same_seed_the_same(kind: type[AbstractTask]) -> None:
    first, again, other = (
        strings(kind(kind.Options(set_seed=seed)).part("train"), 100)  # type: ignore[call-arg]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_forgetting_the_second_symbol_costs_ln_2_a_string_and_every_success() -> None:
    task = EmbeddedReber(EmbeddedReberOptions()).part("validation")
    low, high = task.default_timesteps
    batch = task.sample(stream(4, "data/validation"), batch_size=2000, timesteps=(low, high))
    forgetful = task.references((low, high))[1]
    assert forgetful.loss - task.oracle_loss(task.default_timesteps) == pytest.approx(np.log(2) / 11, abs=1e-5)
    outputs = forgetful.predict(batch)
    assert task.metrics(outputs, batch)["error_rate"] == 1.0
    outputs[np.arange(2000), batch.lengths - 2, 1] += 1.0  # always guess T
    assert task.metrics(outputs, batch)["long_memory_error_rate"] == pytest.approx(0.5, abs=0.1)


def test_lengths_pick_strings_and_are_refused_when_there_are_none() -> None:
    task = EmbeddedReber(EmbeddedReberOptions())
    for part in ("train", "validation"):
        batch = task.part(part).sample(stream(0, "data/train"), batch_size=200, timesteps=(12, 15))  # type: ignore[arg-type]
        assert set(batch.lengths) == {12, 13, 14, 15}
    assert task.timesteps_fault((3, 7)) == "the grammar sets the lengths: the shortest string has 8 steps"
    assert task.timesteps_fault((8, 1001)) == "takes at most 1,000 steps: longer strings never come"
    assert task.timesteps_fault((990, 1000)) is None
    distinct = EmbeddedReberDistinct(EmbeddedReberDistinct.Options())
    low, high = distinct.default_timesteps
    assert low == 8
    assert distinct.timesteps_fault((400, 500)) == (
        f"the grammar sets the lengths, 8 to {high} steps; no string of the train set has 400 to 500 steps"
    )
