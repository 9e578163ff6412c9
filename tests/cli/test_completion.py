"""What a shell is offered: asked by the variables that Typer's own completion scripts set."""

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.cli.program import Result, child, rnnlab
from tests.stored_runs import store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("carry-abcdef", "simple-abcxyz"):
        store(tmp_path / "runs", name)
    (tmp_path / "runs" / "20261122T102531Z-\x1b[31m-abcccc").mkdir()
    for name in ("vanishing", "var"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "plan.json").touch()
    (tmp_path / "experiments").mkdir()
    for name in ("a.yaml", "a.csv"):
        (tmp_path / "experiments" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def offered(root: Path, *words: str, run: Callable[[], Result] = rnnlab) -> list[str]:
    asked = {"_RNNLAB_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    with patch.dict(os.environ, {**asked, "RNNLAB_RUNS": str(root)}):
        answer = run()
    assert answer.stderr == ""
    return answer.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        (["show", ""], ["latest", "abcxyz", "abcdef"]),
        (["compare", "abcdef", "abcx"], ["abcxyz"]),
        (["train", "--resume", "abcd"], ["abcdef"]),
        (["show", "20261122T102531Z-c"], ["20261122T102531Z-carry-abcdef"]),
        (["show", "--runs", "/nowhere", ""], []),
        (["sweep", "status", "van"], ["vanishing"]),
        (["sweep", "resume", "--runs", "/nowhere", ""], []),
        (["tasks", "adding@"], ["adding@hs1997", "adding@pascanu2013", "adding@urnn"]),
        (["tasks", "par"], ["parity", "parity@deletang2023"]),
        (["reproduce", "hs1997/table7_"], ["hs1997/table7_100", "hs1997/table7_500", "hs1997/table7_1000"]),
        (["cells", "si"], ["simple"]),
        (["list", "va"], ["vanishing", "var"]),
        (["compare", "va"], ["vanishing", "var"]),
        (["check", "exp"], ["experiments/a.yaml"]),
        (["check", "experiments/"], ["experiments/a.yaml"]),
        (["train", "quick"], ["quickstart", "quickstart_keras"]),
        (["sweep", "vanishing_s"], ["vanishing_search", "vanishing_simple", "vanishing_sweep"]),
        (["sweep", "run", "vanishing_sw"], ["vanishing_sweep"]),
        (["configs", "par"], ["parity"]),
        (["train", "x.yaml", "--set", "training.ste"], ["training.steps="]),
        (["sweep", "run", "--set", "cell.forget_b"], ["cell.forget_bias="]),
        (["check", "--set", "task.csv"], ["task.csv="]),
        (["check", "--set", "sweep.metr"], ["sweep.metric=", "sweep.metric.name=", "sweep.metric.goal="]),
    ],
)
def test_names_that_fit_are_offered(root: Path, words: list[str], expected: list[str]) -> None:
    assert offered(root, "rnnlab", *words) == expected


def test_as_a_shell_asks(root: Path) -> None:
    assert offered(root, "rnnlab", "tr", run=child) == ["train"]
