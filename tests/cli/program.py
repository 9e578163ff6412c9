"""The program as a test starts it: in this process, which is fast, or as a child, which is real."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rnnlab.cli.main import main

TINY = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training: {steps: 20, batch_size: 4, evaluate_every: 10}
evaluation: {sequences: 20}
"""
# Its updates find no end: for tests that stop it.
ENDLESS = """\
task: adding
training: {steps: 1000000000, evaluate_every: 20, stop_when_solved: false}
evaluation: {sequences: 20}
"""
DIVERGING = """\
task: adding
cell: {units: 8, activation: linear, initializers: {recurrent_kernel: {type: identity, scale: 3.0}}}
shape: {timesteps: 30}
training: {steps: 500, batch_size: 4, evaluate_every: 50, optimizer: {type: sgd, learning_rate: 100}}
evaluation: {sequences: 20}
"""


@dataclass(frozen=True)
class Result:
    """How the program ended and what it printed."""

    code: int
    stdout: str
    stderr: str


def rnnlab(*arguments: str | Path) -> Result:
    """Run the program in this process."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["rnnlab", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            return Result(int(stop.code or 0), out.getvalue(), err.getvalue())


def start(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, **settings: Any
) -> subprocess.Popen[str]:
    """Start the program as a process of its own."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    command = [sys.executable, "-m", "rnnlab", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **(environment or {})}, encoding="utf-8", **streams)


def child(*arguments: str | Path, environment: Mapping[str, str] | None = None, **settings: Any) -> Result:
    """Run the program as a process of its own."""
    with start(*arguments, environment=environment, **settings) as process:
        out, err = process.communicate(timeout=60)
    return Result(process.returncode, out or "", err or "")
