"""Typed options are strict; the name of a run is safe in every shell, file system and report."""

import pytest
from pydantic import Field, ValidationError

from rnnlab.core.errors import UsageError
from rnnlab.core.options import Options, check_name
from rnnlab.storage.status import FOLDER_NAME, folder_name


class Example(Options):
    units: int = Field(3, description="H")
    rate: float = Field(0.5, description="η")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"unit": 3}, "extra_forbidden"),
        ({"units": "3"}, "int_type"),
        ({"units": 3.0}, "int_type"),
        ({"units": True}, "int_type"),
        ({"rate": "0.5"}, "float_type"),
        ({"rate": True}, "float_type"),
        ({"rate": float("nan")}, "finite_number"),
        ({"rate": float("-inf")}, "finite_number"),
        ({"units": None}, "int_type"),
    ],
)
def test_options_are_strict(given: dict[str, object], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(given)
    assert [fault["type"] for fault in caught.value.errors()] == [kind]


def test_a_whole_number_is_a_number() -> None:
    assert Example(rate=1).rate == 1.0


def test_options_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Example().units = 4


def test_an_error_does_not_quote_the_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({"units": "a secret"})
    assert "a secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["a", "A9._-", "_x", "0", "x" * 60, "console", "com", "lptx", "latest2", "a..b"])
def test_good_names(name: str) -> None:
    check_name(name)
    match = FOLDER_NAME.fullmatch(folder_name(name))
    assert match
    assert match["name"] == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("..", "it starts with '.'"),
        (".hidden", "it starts with '.'"),
        ("-x", "it starts with '-'"),
        ("../../etc/x", "it starts with '.'"),
        ("/abs", "it contains '/'"),
        ("a/b", "it contains '/'"),
        ("a\\b", "it contains '\\'"),
        ("a b", "it contains ' '"),
        ("a:b", "it contains ':'"),
        ("x\n", r"it contains '\n'"),
        ("x\0", r"it contains '\x00'"),
        ("\u202ex", r"it contains '\u202e'"),
        ("é", "it contains 'é' (U+00E9)"),
        ("\u0661", "it contains '\u0661' (U+0661)"),
        ("x" * 61, "it has 61 characters"),
        ("a.", "it ends with '.'"),
        ("CON", "Windows reserves it for a device"),
        ("nul.txt", "Windows reserves it for a device"),
        ("Com1", "Windows reserves it for a device"),
        ("latest", "`latest` means the latest run"),
    ],
)
def test_bad_names(name: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert caught.value.problem.endswith(f": {reason}")
    assert "\n" not in str(caught.value)
