import pytest
from pydantic import Field, ValidationError

from rnnlab.core.options import Options


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
