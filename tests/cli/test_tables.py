import csv

import pytest
from rich.cells import cell_len

from rnnlab.cli.render.tables import (
    as_csv,
    as_latex,
    as_markdown,
    markdown_text,
    show_table,
    table_lines,
)
from rnnlab.core.table import Column, Table, table

RUNS = table(
    ["run", "state", "steps", "loss, final", "sequences to success", Column("share", is_number=True, form=".0%")],
    [
        ["vanishing-sweep-0001-simple-T10-seed0", "completed", 200, 0.123456, 2000, 0.5],
        ["b", "diverged", 1000, float("nan"), None, 1.0],
    ],
    "Results",
)
OPTIONS = table(["key", "meaning"], [["training.optimizer.learning_rate", "日本語 " * 30]], text=["meaning"])


def test_a_table_on_a_terminal() -> None:
    assert table_lines(table(["cell", "loss", "steps"], [["carry", 0.01, 1000], ["simple", None, 20]]), 80) == [
        "cell     loss   steps",
        "─────────────────────",
        "carry    0.01   1,000",
        "simple      —      20",
    ]


def test_a_table_that_is_too_wide_continues_below_with_its_first_column() -> None:
    narrow = table(["run", "first", "second"], [["a", "1234567890", "1234567890"]])
    assert table_lines(narrow, 20) == [
        "run        first",
        "────────────────",
        "a     1234567890",
        "",
        "run       second",
        "────────────────",
        "a     1234567890",
    ]


def test_headings_are_folded_before_a_table_is_split() -> None:
    assert table_lines(table(["run", "sequences to success"], [["a", 5]]), 15) == [
        "      sequences",
        "             to",
        "run     success",
        "───────────────",
        "a             5",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("shown", [RUNS, RUNS.transposed(), OPTIONS])
def test_no_line_is_wider_than_the_terminal(shown: Table, width: int) -> None:
    lines = table_lines(shown, width)
    assert max(map(cell_len, lines)) <= width
    natural = max(map(cell_len, table_lines(shown, 10_000)))
    assert natural > width or len(lines) <= len(shown.rows) + 3


def test_a_word_is_not_broken_where_another_column_can_be_folded() -> None:
    file = "checkpoints/step-0000000500-0001.safetensors"
    lines = table_lines(table(["", "file", "finding"], [["good", file, "a b " * 20]], text=["file", "finding"]), 60)
    assert any(file in line for line in lines)


def test_text_from_elsewhere_cannot_act(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(table(["\x1b[31mkey", "value"], [["a\nb", "[bold]\x07"]], "\x1b"))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert r"\x1b[31mkey" in out
    assert r"a\nb" in out
    assert r"[bold]\x07" in out


def test_csv_keeps_numbers_and_has_no_formula() -> None:
    text = as_csv(table(["=name", "value"], [["=1+1", -0.5], ["a,b", True], ["-x", None], ["y", float("nan")]]))
    assert list(csv.reader(text.splitlines())) == [
        ["'=name", "value"], ["'=1+1", "-0.5"], ["a,b", "true"], ["'-x", ""], ["y", ""]
    ]  # fmt: skip


def test_markdown_and_latex_show_text_as_it_is() -> None:
    harmful = table(["key", "value"], [["a_b|<b>$x$", 0.5]], "100 %")
    assert as_markdown(harmful) == ("**100 %**\n\n| key | value |\n| --- | ---: |\n| a\\_b\\|\\<b\\>\\$x\\$ | 0.5 |\n")
    assert markdown_text("*\x1b") == r"\*\\x1b"
    assert as_latex(harmful).splitlines()[2:8] == [
        r"\caption{100 \%}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"key & value \\",
        r"\midrule",
        r"a\_b|\textless{}b\textgreater{}\$x\$ & 0.5 \\",
    ]
