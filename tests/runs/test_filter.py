from math import inf, nan
from typing import Any

import pytest

from rnnlab.core.errors import UsageError
from rnnlab.runs.filter import every, parse

ROW: dict[str, Any] = {
    "name": "a b", "task": "adding@urnn", "loss": 0.25, "steps": 100, "solved": True, "timesteps": [50, 50],
    "best": None, "median(loss)": 0.5, "train/loss": 2.0, "odd": "x[1]",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss<0.5", True), ("loss < 2.5e-1", False), (" loss<= .25 ", True), ("loss>=1", False), ("steps==100", True),
        ("steps!=100", False), ("task=adding", False), ("task=adding*", True), ("task!=adding*", False),
        ("task='adding@urnn'", True), ('name="a b"', True), ("name='a*'", True), ("name=''", False), ("odd=x[*", True),
        ("solved=true", True), ("solved=1", True), ("solved=false", False), ("steps=true", False), ("solved<1", False),
        ("timesteps=50", True), ("timesteps=[50, 50]", True), ("timesteps=[50,60]", False), ("name>a", True),
        ("best=null", True), ("best!=3", True), ("best<3", False), ("best=3", False),
        ("median( loss )>0.4", True), ("train/loss=2", True), ("steps='100'", False),
        ("loss<1 and steps>200", False), ("loss<1 or steps>200", True), ("loss>1 or steps=100 and solved=true", True),
        ("(loss>1 or steps=100) and solved=false", False), ("((loss<1))and(steps=100)", True),
        ("task=and or name='or'", False),
    ],
)  # fmt: skip
def test_a_filter_matches(text: str, expected: bool) -> None:
    assert parse(text).matches(ROW.get) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--filter, character 1: got nothing, expected a name"),
        ("state", "--filter, character 6: got nothing, expected one of = != < <= > >="),
        ("=3", "--filter, character 1: got '=3', expected a name"),
        ("state=", "--filter, character 7: got nothing, expected a value"),
        ("state=a b", "--filter, character 9: got 'b', expected 'and', 'or' or the end — a value with blanks"),
        ("(state=a", "--filter, character 9: got nothing, expected a closing parenthesis"),
        ("state=a)", "--filter, character 8: got ')', expected 'and', 'or' or the end"),
        ("state=a and", "--filter, character 12: got nothing, expected a name"),
        ("state=a or or=b", "--filter, character 12: got 'or=b', expected a name"),
        ("state='a", "--filter, character 7: got ''a', expected a value"),
        ("__import__('os')", "--filter, character 11: got '('os')', expected one of = != < <= > >="),
        ("(" * 100_000, "--filter: has too many parentheses"),
    ],
)
def test_an_error_names_the_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", ["low", "NaN", "'1'"])
def test_a_number_is_compared_with_a_number(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"steps>1 and loss<{value}", option="--fail-if").matches(ROW.get)
    bare = value.strip("'")
    assert str(caught.value) == f"--fail-if, character 18: loss is a number, got '{bare}' — for example loss<0.1"


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("operator", ["=", "<", ">", "!="])
def test_a_number_that_is_not_finite(value: float, operator: str) -> None:
    found = parse(f"loss{operator}1")
    assert found.matches({"loss": value}.get) is (operator == "!=")
    assert found.matches({"loss": value}.get, not_finite=True)


def test_several_filters_are_joined_by_and() -> None:
    both = every([parse("loss<1 or steps=3"), parse("steps>1")])
    assert both.names == ("loss", "steps")
    assert [both.matches({"loss": 0.5, "steps": steps}.get) for steps in (2, 1)] == [True, False]
    assert every([]).matches(ROW.get)
