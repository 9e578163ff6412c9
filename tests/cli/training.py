"""Trainings by the program, and what they leave behind."""

from pathlib import Path
from typing import Any

from rnnlab.storage import RunFolder
from tests.cli.program import rnnlab


def trained(here: Path, text: str, *options: str) -> RunFolder:
    """Train a config and return its run, the newest."""
    (here / "x.yaml").write_text(text)
    result = rnnlab("train", "x.yaml", *options)
    assert result.code == 0, result.stderr
    return newest(here)


def newest(here: Path) -> RunFolder:
    return RunFolder(max((here / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns))


def weights(run: RunFolder, which: Any) -> dict[str, bytes]:
    arrays, _ = run.load_weights(which)
    return {name: array.tobytes() for name, array in arrays.items()}
