"""How a training looks: live on a terminal, plain lines anywhere else."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnlab.cli.render.progress import undisturbed
from tests.cli.program import ENDLESS, TINY, child

LONG_ENOUGH = TINY.replace("steps: 20", "steps: 3000").replace("evaluate_every: 10", "evaluate_every: 300")


def on_a_terminal(*arguments: str, interrupt: bool = False, **environment: str) -> tuple[int, str]:
    """Run the program on a terminal of its own; return its exit code and every byte that reached the screen."""
    screen, terminal = pty.openpty()
    colourful = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnlab", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**colourful, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment},
    )
    os.close(terminal)
    shown = b""
    began = time.monotonic()
    while True:
        try:
            shown += os.read(screen, 1 << 16)
        except OSError:  # the last holder of the terminal has gone
            break
        if interrupt and b"steps/s" in shown:
            process.send_signal(signal.SIGINT)
            interrupt = False
        assert time.monotonic() - began < 60
    os.close(screen)
    return process.wait(timeout=30), shown.decode()


def rest_on_screen(shown: str) -> list[str]:
    """Return the lines that a terminal would show in the end."""
    lines, row, column = [""], 0, 0
    for code in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code == "\r":
            column = 0
        elif code.endswith("A") and code.startswith("\x1b"):
            row = max(0, row - int(code[2:-1] or 1))
        elif code == "\x1b[2K":
            lines[row] = ""
        elif not code.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + code + lines[row][column + len(code) :]
            column += len(code)
    return [line.rstrip() for line in lines]


def test_on_a_terminal_the_training_is_drawn_and_wiped_away(here: Path) -> None:
    (here / "x.yaml").write_text(LONG_ENOUGH)
    code, shown = on_a_terminal("train", "x.yaml")
    assert code == 0
    assert shown.count("\x1b[2K") > 5
    for drawn in ("/3,000", "steps/s", "training loss", "validation/loss", "baseline 0.1449; success rule:", "left"):
        assert drawn in shown
    assert (shown.count("\x1b[?25l"), shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")) == (1, True)
    left = rest_on_screen(shown)
    # The headline is one word too long for 80 columns.
    assert " ".join(left[:2]) == "simple cell, 4 units, 33 parameters, on adding@urnn (T=5…10); numpy float32, seed 0"
    assert left[2].startswith("not solved: all training steps are done (3,000 steps in ")
    assert not any("steps/s" in line or "━" in line for line in left)


def test_ctrl_c_gives_the_cursor_back(here: Path) -> None:
    (here / "x.yaml").write_text(ENDLESS)
    code, shown = on_a_terminal("train", "x.yaml", interrupt=True)
    assert code == 75
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    left = [line for line in rest_on_screen(shown) if line]
    assert re.match(r"runs/\S+: stopped by SIGINT at step \d", " ".join(left[2:]))
    assert not any("steps/s" in line for line in left)


def test_ctrl_c_waits_until_a_picture_is_whole() -> None:
    done = []

    def draw() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("drawn")

    with pytest.raises(KeyboardInterrupt):
        draw()
    assert done == ["drawn"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("environment", "codes"),
    [({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, True), ({"NO_COLOR": "1", "COLUMNS": "20"}, True)],
    ids=["dumb", "no colour", "narrow"],
)
def test_terminals_that_can_or_want_less(here: Path, environment: dict[str, str], codes: bool) -> None:
    (here / "x.yaml").write_text(LONG_ENOUGH)
    code, shown = on_a_terminal("train", "x.yaml", **environment)
    assert (code, "Traceback" in shown) == (0, False)
    assert ("\x1b" in shown) == codes
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;[0-9;]*)m", shown)


def test_to_a_file_go_plain_lines(here: Path) -> None:
    (here / "x.yaml").write_text(LONG_ENOUGH)
    result = child("train", "x.yaml")
    lines = result.stderr.splitlines()
    assert re.fullmatch(r"run runs/\d{8}T\d{6}Z-x-[a-z0-9]{6}", lines[0])
    assert lines[1] == "simple cell, 4 units, 33 parameters, on adding@urnn (T=5…10); numpy float32, seed 0"
    assert lines[2] == "baseline 0.1449; success rule: validation loss at most 0.005"
    assert re.fullmatch(
        r"step 0  0\.\d s  validation/loss \d\.\d+  validation/error_rate 1  validation/mae \d\.\d+", lines[3]
    )
    # Evaluations come faster than lines: after the first, only the last is shown.
    assert [line.split("  ")[0] for line in lines[3:]] == ["step 0", "step 3000"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stderr + result.stdout)


def test_several_layers_and_lengths_are_in_the_headline(here: Path) -> None:
    (here / "x.yaml").write_text(TINY.replace("{units: 4}", "{type: carry, units: 2, layers: 3}"))
    headline = child("train", "x.yaml", "--set", "shape.timesteps=6", "--set", "precision=float64").stderr.splitlines()[
        1
    ]
    assert headline == "carry cell, 2 units, 3 layers, 135 parameters, on adding@urnn (T=6); numpy float64, seed 0"
