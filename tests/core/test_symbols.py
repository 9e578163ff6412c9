"""Symbols select rows of a matrix in machine code, so that no others can be made."""

from typing import Any

import numpy as np
import pytest

from rnnlab.core.symbols import Symbols


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        (np.array([[0, 3]]), "0 to 3, expected 0 to 2"),
        (np.array([[-2, 0]]), "-2 to 0, expected 0 to 2, or -1"),
        (np.array([[0.0, 1.0]]), r"float64 \(1, 2\)"),
        (np.array([[True, False]]), r"bool \(1, 2\)"),
        (np.array([[0, 1]], np.uint8), r"uint8 \(1, 2\)"),  # -1 stands for none
        (np.array([0, 1]), r"int64 \(2,\)"),
        ([[0, 1]], "list"),
    ],
    ids=["above", "below", "real", "bool", "unsigned", "one axis", "no array"],
)
def test_other_codes_are_an_error(codes: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Symbols(codes, 3)


def test_no_sequences_are_symbols_too() -> None:
    assert Symbols(np.zeros((0, 2), np.int16), 3).dense().shape == (0, 2, 3)
