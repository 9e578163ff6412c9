"""Axes and combinations, counted by hand."""

import json
from typing import Any

import numpy as np
import pytest

from rnnlab.config.blocks import Range, SweepOptions
from rnnlab.core.errors import UsageError
from rnnlab.sweeps.axes import combinations, draw, faults_of, values_of
from rnnlab.sweeps.plan import trial_name


def spaced(**given: Any) -> Range:
    return Range.model_validate({key.rstrip("_"): value for key, value in given.items()})


def options(**given: Any) -> SweepOptions:
    return SweepOptions.model_validate(given)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        (spaced(from_=10, to=100, step=30), [10, 40, 70, 100]),
        (spaced(from_=10, to=99, step=30), [10, 40, 70]),
        (spaced(from_=1, to=4, count=4), [1, 2, 3, 4]),
        (spaced(from_=1, to=3, count=9), [1, 2, 3]),  # between integers there are no more
        (spaced(from_=0.1, to=0.5, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),
        (spaced(from_=0.0, to=1.0, count=3), [0.0, 0.5, 1.0]),
        (spaced(from_=1e-4, to=1e-1, count=4, scale="log"), [1e-4, 1e-3, 1e-2, 1e-1]),
        (spaced(from_=4, to=40, step=2, scale="log"), [4, 8, 16, 32]),
        (spaced(from_=8, to=128, count=5, scale="log"), [8, 16, 32, 64, 128]),
    ],
    ids=str,
)
def test_the_values_of_a_range(axis: Range, values: list[Any]) -> None:
    assert values_of(axis) == values
    assert [type(value) for value in values_of(axis)] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("axis", "low", "high", "kind"),
    [
        (spaced(from_=3, to=5), 3, 5, int),
        (spaced(from_=1e-4, to=1e-2, scale="log"), 1e-4, 1e-2, float),
        (spaced(from_=-1.0, to=1.0), -1.0, 1.0, float),
        (spaced(from_=10, to=1000, scale="log"), 10, 1000, int),
    ],
    ids=str,
)
def test_draws_fill_a_range_evenly(axis: Range, low: float, high: float, kind: type) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw(axis, rng) for _ in range(2000)]
    assert {type(value) for value in drawn} == {kind}
    middle = (low * high) ** 0.5 if axis.scale == "log" else (low + high) / 2
    below, above = (sum(sign * value < sign * middle for value in drawn) for sign in (1, -1))
    assert low <= min(drawn) <= max(drawn) <= high
    assert 0.8 < below / above < 1.25


def test_a_grid_is_every_combination_in_order() -> None:
    found = combinations(options(axes={"a": [1, 2], "b": ["x", "y", "z"]}), seed=0)
    assert [tuple(one.values()) for one in found] == [(1, "x"), (1, "y"), (1, "z"), (2, "x"), (2, "y"), (2, "z")]


def test_zipped_axes_change_together() -> None:
    found = combinations(options(axes={"a": [1, 2], "b": [True, False], "c": [10, 20]}, zip=[["a", "c"]]), seed=0)
    assert [(one["a"], one["b"], one["c"]) for one in found] == [
        (1, True, 10), (1, False, 10), (2, True, 20), (2, False, 20),
    ]  # fmt: skip


def test_zipped_axes_may_repeat_a_value() -> None:
    found = combinations(options(axes={"a": [-2.0, -2.0, 1.0], "b": [1, 2, 2]}, zip=[["a", "b"]]), seed=0)
    assert found == [{"a": -2.0, "b": 1}, {"a": -2.0, "b": 2}, {"a": 1.0, "b": 2}]


def test_an_axis_is_set_only_where_its_conditions_hold() -> None:
    """Of 2·2·2 combinations, x drops out in all but a=1, and y where x is not 5: 1 (a=2) + 1 (x=6) + 2 remain."""
    when = {"x": {"a": 1}, "y": {"x": [5, 7]}}
    found = combinations(options(axes={"a": [1, 2], "x": [5, 6], "y": [8, 9]}, when=when), seed=0)
    assert found == [{"a": 1, "x": 5, "y": 8}, {"a": 1, "x": 5, "y": 9}, {"a": 1, "x": 6}, {"a": 2}]


def test_random_combinations_differ_and_repeat() -> None:
    axes = {"a": {"from": 1, "to": 10}, "b": {"from": 1e-4, "to": 1e-1, "scale": "log"}, "c": ["x", "y"]}
    asked = options(axes=axes, method="random", trials=50)
    found = combinations(asked, seed=3)
    assert len({json.dumps(one) for one in found}) == len(found) == 50
    assert combinations(asked, seed=3) == found
    assert combinations(options(axes=axes, method="random", trials=20), seed=3) == found[:20]
    assert combinations(asked, seed=4) != found
    assert {one["c"] for one in found} == {"x", "y"}


def test_all_of_a_small_space_is_drawn() -> None:
    axes = {"a": [1, 2], "b": [1, 2]}
    assert len(combinations(options(axes=axes, method="random", trials=4), seed=0)) == 4
    with pytest.raises(UsageError, match=r"^`trials` is 5, but 1,000 draws in a row found nothing new after 4"):
        combinations(options(axes=axes, method="random", trials=5), seed=0)


def test_too_many_combinations_are_an_error_before_they_are_made() -> None:
    axes = {name: list(range(1000)) for name in "abcdef"}
    with pytest.raises(UsageError, match="1,000,000,000,000,000,000 combinations"):
        combinations(options(axes=axes), seed=0)


TPE = {"axes": {"a": [1, 2]}, "method": "tpe", "trials": 2, "pruner": "median"}


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({}, [": nothing is varied"]),
        ({"method": "random", "seeds": 2}, ["trials: missing: how many combinations to try"]),
        ({"seeds": 1, "pruner": "median"}, ["pruner: is for method: tpe"]),
        ({**TPE, "seeds": 2}, ["pruner: compares single trials, so it needs one seed"]),
        (
            {**TPE, "metric": "solved_at.sequences"},
            ["metric: solved_at.sequences is known only at the end of a training"],
        ),
        ({"trials": 3}, ["trials: a grid has all its combinations"]),
        ({"axes": {"name": ["a"]}}, ["axes.name: `name` cannot be an axis"]),
        ({"axes": {"seed": [1]}, "seeds": 2}, ["seeds: `seed` is an axis already"]),
        ({"axes": {"a": []}}, ["axes.a: no values"]),
        ({"axes": {"a": [1, 2, 1]}}, ["axes.a: 1 is listed twice"]),
        ({"axes": {"a": {"from": 1, "to": 2}}}, ["axes.a: a grid needs a list of values"]),
        ({"axes": {"a": {"from": 0, "to": 1.0, "step": 1e-9}}}, ["axes.a: more than 20,000 numbers"]),
        ({"axes": {"a": [1], "a.b": [1]}}, ["axes.a.b: is inside the axis a"]),
        (
            {"axes": {"a": [1, 2, 1], "b": [3, 4, 3]}, "zip": [["a", "b"]]},
            ["zip: a 1, b 3 is listed twice"],
        ),
        ({"axes": {"a": [1]}, "zip": [["a", "b"]]}, ["zip: `b` is not an axis"]),
        ({"axes": {"a": [1], "b": [1]}, "zip": [["a", "b"], ["b"]]}, ["zip: `b` is named twice"]),
        (
            {"axes": {"a": [1], "b": [1, 2]}, "zip": [["a", "b"]]},
            ["zip: zipped axes need equally many values: a has 1, b has 2"],
        ),
        ({"axes": {"a": [1]}, "when": {"a": {"c": 1}}}, ["when.a: `c` is not an axis"]),
        (
            {"axes": {"a": [1], "b": [1]}, "when": {"a": {"b": 1}, "b": {"a": 1}}},
            [f"when.{key}: depends on itself" for key in "ab"],
        ),
    ],
    ids=str,
)
def test_faults_of_a_section(given: dict[str, Any], faults: list[str]) -> None:
    assert [f"{'.'.join(path)}: {fault.problem}" for path, fault in faults_of(options(**given))] == faults


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "0003"),
        ({"shape.timesteps": [50, 60], "task": {"type": "adding@urnn"}}, "0003-T50_60-adding_urnn"),
        ({"training.stop_when_solved": False, "training.clip_norm": None}, "0003-stop_when_solvedfalse-clip_normnull"),
        ({"cell.initializers": {"kernel": "zeros"}, "precision": "float64"}, "0003-float64"),
        ({"task.csv": "/data/a b/ü.csv"}, "0003-csv_data_a_b_.csv"),
        ({"a" * 40: 1, "b" * 40: 1}, f"0003-{'a' * 40}1-{'b' * 13}"),
    ],
)
def test_the_name_of_a_trial(values: dict[str, Any], name: str) -> None:
    assert trial_name(3, values, total=9999) == name
