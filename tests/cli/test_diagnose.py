import json
from pathlib import Path

import pytest

import rnnlab as package
from tests.cli.program import Result, rnnlab

TINY = {
    "name": "tiny",
    "task": "adding",
    "shape": {"timesteps": 8},
    "training": {"steps": 2, "batch_size": 4},
    "cell": {"type": "carry", "units": 4},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("diagnosed")
    package.train(TINY, runs=root)
    return root


def diagnosed(root: Path, *arguments: str) -> Result:
    return rnnlab("diagnose", "tiny", "--runs", str(root), *arguments)


def test_it_is_told_in_80_columns(runs: Path) -> None:
    done = diagnosed(runs, "--fixed-points")
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    said = " ".join(done.stdout.split())
    for expected in (
        "Gradient of the last scored step's loss", "layers.0.h: after 7 steps", "layers.0.Vo", "layers.0.f",
        "keep 1/e of what they hold for", "memory capacity:", "Other lengths (trained on 8)", "without input",
    ):  # fmt: skip
        assert expected in said


def test_json_has_every_number(runs: Path) -> None:
    told = json.loads(diagnosed(runs, "--json").stdout)
    assert (told["label"], told["step"], told["timesteps"], told["fixed_points"]) == ("tiny", 2, 8, {})
    assert len(told["flow"]["median"]["layers.0.h"]) == 8
    assert len(told["spectra"]["layers.0.Uo"]["eigenvalues"][0]) == 2
    assert told["lengths"]["timesteps"] == [4, 8, 16, 40, 80]


def test_one_kind(runs: Path) -> None:
    done = diagnosed(runs, "--only", "spectrum", "--timesteps", "3", "--sequences", "5")
    assert "5 sequences of T=3" in done.stdout
    assert "layers.0.Uo" in done.stdout
    assert "capacity" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--only", "gate"), 2, "--only: 'gate' is no kind of finding — did you mean 'gates'?"),
        (("--only", ""), 2, "is no kind of finding"),
        (("--at-step", "1"), 2, "has no checkpoint of step 1"),
        (("--timesteps", "1"), 2, "needs at least 2 steps"),
        (("--sequences", "0"), 2, "no whole number from 1 on"),
    ],
)
def test_what_cannot_be(runs: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = diagnosed(runs, *arguments)
    assert (done.code, done.stdout) == (code, "")
    assert told in done.stderr


def test_a_run_that_is_not_there(runs: Path) -> None:
    assert rnnlab("diagnose", "nobody", "--runs", str(runs)).code == 3
