import math

import pytest

from rnnlab.cli.render.curves import draw
from rnnlab.cli.render.curves import line as curve
from rnnlab.core.figure import Axis, Level, Line, Panel


def text(
    lines: list[Line], levels: list[Level] | None = None, *, y_label: str, may_log: bool = False, **options: object
) -> list[str]:
    panel = Panel(Axis("step"), Axis(y_label, log=may_log), lines, levels or [])
    return [line.plain for line in draw(panel, **({"width": 80, "braille": True} | options))]  # type: ignore[arg-type]


def test_ascii_is_the_curve_in_letters() -> None:
    lines = text(
        [curve("down", [(0, 4.0), (38, 0.0)]), curve("flat", [(0, 1.0), (38, 1.0)])],
        y_label="loss",
        levels=[Level(0.0, "baseline 0")],
        width=50,
        height=5,
        braille=False,
    )
    assert lines == [
        "loss over steps",
        "        4 +aaaaa",
        "          |     aaaaaaaaaa",
        "        2 +               aaaaaaaaa",
        "          |bbbbbbbbbbbbbbbbbbbbbbbbabababababbbbbb",
        "        0 +- - - - - - - - - - - - - - - - - aaaaa",
        "          +---------------------------------------",
        "     step  0                 19                 38",
        "           a down  b flat  - - baseline 0",
    ]


def test_braille_has_the_letters_too() -> None:
    lines = text([curve("up", [(0, 0.0), (1, 1.0)])], y_label="y", width=40, height=4)
    assert lines == [
        "y over steps",
        "        1 ┤                      ⣀⣀⠤⠤⠒⠒a",
        "          │              a⣀⡠⠤⠔⠒⠉⠉",
        "      0.5 ┤       ⣀⣀⠤⠔⠒⠊⠉⠁",
        "        0 ┤⣀⠤⠤⠒⠒⠉⠉",
        "          └─────────────────────────────",
        "     step  0                           1",
        "           a up",
    ]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([1.0, 0.06], ["1", "0.53", "0.06"]),  # less than a factor of 20
        ([1.0, 0.01], ["1", "0.1", "0.01"]),
        ([1.0, 0.0], ["1", "0.5", "0"]),  # no logarithm
        ([1.0, -0.01], ["1", "0.495", "-0.01"]),
    ],
)
def test_a_positive_range_over_20_makes_the_axis_logarithmic(values: list[float], numbers: list[str]) -> None:
    lines = text([curve("x", list(enumerate(values)))], y_label="loss", may_log=True)
    assert lines[0] == "loss over steps" + (", log scale" if numbers[1] == "0.1" else "")
    assert [line[:9].strip() for line in lines if line[10:11] == "┤"] == numbers


@pytest.mark.parametrize("braille", [True, False])
def test_a_gap_stays_a_gap(braille: bool) -> None:
    points = [(0, 1.0), (10, 1.0), (20, None), (30, 1.0), (40, 1.0)]
    line = text([curve("x", points)], y_label="y", height=4, width=51, braille=braille)
    row = next(row for row in line[1:5] if "a" in row)[11:]
    assert len(row) == 40
    assert row[12:28].strip() == ""
    assert "" not in (row[:9].strip(), row[31:].strip())


def test_one_point_and_equal_values_are_drawn() -> None:
    lines = text([curve("x", [(5, 3.0)]), curve("none", [])], y_label="y", height=4, width=40)
    assert lines[1:5] == ["      3.3 ┤", "          │", "        3 ┤a", "      2.7 ┤"]
    assert lines[-2:] == ["     step  5                           6", "           a x  b none (no record)"]


def test_nothing_to_draw_draws_nothing() -> None:
    assert text([curve("x", []), curve("y", [(0, None)])], y_label="y") == []


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 1.0 + 2e-16],
        [0.0, 1.7e308],
        [-1.7e308, 1.7e308, 1.0],
        [5e-324, 1e-320],
        [0.0, 1e-320],
        [1e-9, 1e300],
        [0.0, 0.0],
    ],
)
def test_extreme_values_do_no_harm(values: list[float]) -> None:
    lines = text([curve("x", list(enumerate(values)))], y_label="loss", may_log=True, height=6, width=50)
    assert lines[-1] == "           a x"
    assert max(map(len, lines)) <= 50
    assert any("a" in line for line in lines[1:7])


def test_a_hundred_thousand_points_keep_their_peak() -> None:
    points = [(n, 5.0 if n == 54_321 else math.sin(n) / 10) for n in range(100_000)]
    lines = text([curve("x", points)], y_label="y", width=80, height=8)
    peak = {index for line in lines[1:3] for index, letter in enumerate(line[11:]) if letter != " "}
    assert peak == {round(0.54321 * 69 - 0.5)}
