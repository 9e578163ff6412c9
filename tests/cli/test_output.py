"""The one exit of text: nothing in a name, a message or a cell can steer a terminal or forge a line."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import rnnlab
from rnnlab.cli.ascii import ASCII
from rnnlab.cli.errors import note, report, warn
from rnnlab.cli.render import output
from rnnlab.cli.render.output import show, show_json, show_text
from rnnlab.core.errors import UsageError
from tests.cli.program import child

HOSTILE = "a\x1b[2Jb\nforged\r\x07\x9b31m\u202e"
ESCAPED = r"a\x1b[2Jb\nforged\r\x07\x9b31m\u202e"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
TRAINED = {"name": "tiny", "task": "adding", "shape": {"timesteps": 8}, "training": {"steps": 2, "batch_size": 4}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ascii")
    rnnlab.train(TRAINED, runs=root)
    return root


def table_with(cell: str) -> object:
    grid = Table.grid()
    grid.add_row(cell, "x")
    return grid


@pytest.mark.parametrize(
    ("part", "lines"),
    [(HOSTILE, 1), (Text(HOSTILE, style="red"), 2), (table_with(HOSTILE), 2)],
    ids=["line", "styled", "table"],
)
def test_what_is_shown_holds_no_control_character(part: object, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    show(part)  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert not CONTROL.search(out)
    assert r"\x1b[2J" in out
    assert len(out.splitlines()) == lines
    if isinstance(part, str):  # which is one line
        assert ESCAPED in out


def test_on_a_terminal_only_colours_are_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for part in (HOSTILE, Text(HOSTILE, style="red"), table_with(HOSTILE)):
        show(part)  # type: ignore[arg-type]
    shown = screen.getvalue()
    assert "\x1b[31m" in shown
    assert not CONTROL.search(re.sub(r"\x1b\[[0-9;]*m", "", shown))


def test_text_of_several_lines_keeps_its_line_ends(capsys: pytest.CaptureFixture[str]) -> None:
    show_text("one\n" + HOSTILE + "\n")
    assert capsys.readouterr().out == "one\n" + ESCAPED.replace(r"\n", "\n") + "\n"


def test_json_has_a_mark_first_and_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    show_json("show", {"run": HOSTILE + "é", "loss": float("nan")})
    out = capsys.readouterr().out
    assert out.isascii()
    assert not CONTROL.search(out)
    document = json.loads(out)
    assert list(document.items()) == [("format", "rnnlab-show/1"), ("run", HOSTILE + "é"), ("loss", None)]


@pytest.mark.parametrize("value", [[1], {"format": "x"}], ids=str)
def test_json_without_room_for_the_mark(value: object) -> None:
    with pytest.raises(ValueError, match="format"):
        output.as_json("show", value)


def test_messages_are_one_escaped_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    note(HOSTILE)
    warn(HOSTILE)
    report(UsageError(HOSTILE, where=HOSTILE))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        ESCAPED,
        f"rnnlab: warning: {ESCAPED}",
        f"rnnlab: error[E_USAGE]: {ESCAPED}: {ESCAPED}",
    ]


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a — b", "a - b"), ("▶ this run", "> this run"), ("3 · 10⁻¹²", "3 * 10^-12"), ("▁█", "_#"), ("Ω", r"\u03a9")],
    ids=ascii,
)
def test_a_terminal_without_a_character_gets_ascii_that_reads_the_same(text: str, plain: str) -> None:
    assert text.encode("ascii", ASCII).decode() == plain
    assert text.encode("utf-8", ASCII).decode() == text


@pytest.mark.parametrize("arguments", [("show", "tiny"), ("list",), ("diagnose", "tiny"), ("tasks", "parity")], ids=str)
def test_no_command_prints_escapes_on_an_ascii_terminal(trained: Path, arguments: tuple[str, ...]) -> None:
    surroundings = {"PYTHONIOENCODING": "ascii", "LANG": "C", "LC_ALL": "C", "RNNLAB_RUNS": str(trained)}
    done = child(*arguments, environment=surroundings)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert not re.search(r"\\[ux]", done.stdout)
