"""Sweeps with too many trials or none, and values that a shell or a scheduler would take for commands.

test_bad_input lists where other kinds of bad input are tested.
"""

import subprocess
import time
from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from tests.cli.program import TINY, rnnlab
from tests.cli.test_bad_input import error_lines, names
from tests.small import needs_pandas

BASE = "task: adding\ntraining: {steps: 1}\nsweep:\n"
MILLION = [f"    training.optimizer.{name}: {{from: 0.1, to: 0.2, count: 100}}\n" for name in ("beta_1", "beta_2")]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "  axes:\n    cell.units: {from: 1, to: 100, step: 1}\n" + "".join(MILLION),
            "x.yaml:4:3 sweep: 1,000,000 combinations, but a sweep has at most 20,000 trials — take fewer values",
        ),
        (
            '  axes: {cell.type: ["simple\\n#SBATCH --wrap=id"]}\n',
            "x.yaml:4:22 cell.type: unknown cell 'simple\\n#SBATCH --wrap=id' (trial 0001)",
        ),
        (
            "  axes: {cell.units: {from: 1, to: 3, stap: 1}}\n",
            "x.yaml:4:39 sweep.axes.'cell.units'.stap: unknown key 'stap' — did you mean 'step'?",
        ),
    ],
    ids=["a million", "a line end", "a typing error"],
)
def test_a_sweep_that_cannot_be(here: Path, section: str, expected: str) -> None:
    (here / "x.yaml").write_text(BASE + section)
    for options in ((), ("--dry-run",), ("--script",), ("--slurm", "--dry-run")):
        began = time.perf_counter()
        result = rnnlab("sweep", "x.yaml", *options)
        assert time.perf_counter() - began < 5
        assert (result.code, result.stdout) == (2, "")
        assert expected in error_lines(result)[0]
    assert names() == ["x.yaml"]


HOSTILE = ["a;touch p1", "$(touch p2)", "--wrap=touch p3", "`touch p4`", "a' b\"", "&touch p5&", "#SBATCH -x", "%s{0}"]


@pytest.fixture
def hostile(here: Path) -> Path:
    """A sweep over files with names that a shell would run, in a folder of such a name."""
    place = here / "x $(touch p0);y"
    place.mkdir()
    for name in HOSTILE:
        (here / f"{name}.csv").write_text("a,b\n" + "".join(f"{n % 7},{n % 5}\n" for n in range(100)))
    axis = ", ".join("'{}'".format(f"{name}.csv".replace("'", "''")) for name in HOSTILE)
    (here / "x.yaml").write_text(
        "task: {type: forecast, target: a}\nshape: {timesteps: 3}\ntraining: {steps: 2, batch_size: 4}\n"
        "evaluation: {sequences: 5}\n"
        f"sweep: {{axes: {{task.csv: [{axis}]}}}}\n"
    )
    return place


@needs_pandas
def test_values_do_not_reach_the_scheduler(here: Path, hostile: Path) -> None:
    """The script of the jobs has only the paths of trials; the values are in the configs."""
    script = rnnlab("sweep", "x.yaml", "--slurm", "--dry-run", "--into", hostile / "s")
    assert script.code == 0
    assert not any(word in script.stdout for word in ("touch", "#SBATCH -x", "--wrap"))
    assert [line for line in script.stdout.splitlines() if line.startswith("#SBATCH --array")] == [
        "#SBATCH --array=1-8"
    ]


@pytest.mark.parametrize("option", ["--partition", "--account", "--mem", "--time", "--extra"])
@pytest.mark.parametrize("value", ["a b", "$(id)", "a;id", "#SBATCH -C a\n#SBATCH --wrap=id", "`id`"])
def test_options_of_the_scheduler_are_one_word(here: Path, option: str, value: str) -> None:
    (here / "x.yaml").write_text(TINY + "sweep: {seeds: 2}\n")
    result = rnnlab("sweep", "x.yaml", "--slurm", "--dry-run", option, value)
    assert (result.code, result.stdout) == (2, "")
    (line,) = error_lines(result)
    assert line.startswith(f"{option}: got '")
    assert names() == ["x.yaml"]


@needs_pandas
def test_a_script_for_any_scheduler_runs_nothing_but_trials(here: Path, hostile: Path) -> None:
    """Each line is one command, which bash splits into exactly its words."""
    script = rnnlab("sweep", "x.yaml", "--script", "--into", hostile / "s")
    lines = script.stdout.splitlines()
    assert (script.code, len(lines)) == (0, 8)
    (here / "rnnlab").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{here}/words"\n')
    (here / "rnnlab").chmod(0o755)
    before = names()
    done = subprocess.run(["bash", "-c", script.stdout], env={"PATH": f"{here}:/bin:/usr/bin"}, check=False)
    assert (done.returncode, names()) == (0, sorted([*before, "words"]))
    words = (here / "words").read_text().splitlines()
    configs = [Path(word) for word in words if word.endswith(".yaml")]
    assert [config.parent for config in configs] == [hostile / "s" / "configs"] * 8
    assert [Path(load_experiment(config).experiment.task.csv.path).name for config in configs] == [
        f"{n}.csv" for n in HOSTILE
    ]


@needs_pandas
def test_values_are_trained_as_they_are(here: Path, hostile: Path) -> None:
    before = {path.name for path in here.iterdir()}
    assert rnnlab("sweep", "x.yaml", "-q", "--into", hostile / "s", "-j", "1").code == 0
    assert {path.name for path in here.iterdir()} == before
    assert {path.name for path in (hostile / "s").iterdir()} >= {"configs", "trials", "plan.json"}
    assert "8 completed" in rnnlab("sweep", "status", hostile / "s").stdout
