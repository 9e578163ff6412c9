"""`rnnlab sweep`: what it plans, trains, shows, and how it ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from rnnlab.sweeps import SweepFolder
from tests.cli.jobs import everything
from tests.cli.program import child, rnnlab, start
from tests.cli.test_training_display import on_a_terminal, rest_on_screen
from tests.sweeps.trying import ENDLESS, QUICK

SWEEP = f"{QUICK}sweep: {{axes: {{cell.units: [2, 3]}}, seeds: 2}}\n"
NAMES = ["0001-H2-seed0", "0002-H2-seed1", "0003-H3-seed0", "0004-H3-seed1"]
ALL = "runs/x: 4 completed, of 4 trials\nbest loss: "
DIVERGING = """\
task: adding
cell: {units: 4}
training: {steps: 50, batch_size: 4}
evaluation: {sequences: 20}
sweep: {axes: {training.optimizer: [{type: sgd, learning_rate: 1e3}, adam]}}
"""


@pytest.fixture
def x(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep's config in the working folder."""
    monkeypatch.delenv("RNNLAB_RUNS", raising=False)
    (here / "x.yaml").write_text(SWEEP)
    return here / "x.yaml"


def test_a_sweep_is_trained_and_found_complete(x: Path) -> None:
    first = rnnlab("sweep", "x.yaml")
    assert (first.code, first.stdout[: len(ALL)]) == (0, ALL)
    lines = first.stderr.splitlines()
    workers = len(os.sched_getaffinity(0))
    assert lines[0] == f"sweep runs/x: 4 trials, 4 to train with {min(workers, 4)} workers"
    assert re.fullmatch(r"1/4 000\d-H\d-seed\d completed in \d\.\d s  0\.\d+(  solved)?", lines[1])
    assert lines[-1].startswith("4/4 ")
    assert sorted(path.name for path in Path("runs/x/trials").iterdir() if path.is_dir()) == NAMES
    assert Path("runs/x/sweep.yaml").read_bytes() == x.read_bytes()
    before = everything(Path("runs"))
    again = rnnlab("sweep", "x.yaml")
    assert (again.code, again.stdout) == (0, first.stdout)
    assert again.stderr == "sweep runs/x: 4 trials, 4 already finished, 0 to train\n"
    assert rnnlab("sweep", "resume", "x", "-q").stderr == ""
    refused = rnnlab("sweep", "runs/x")
    assert (refused.code, refused.stderr) == (
        2,
        "rnnlab: error[E_USAGE]: runs/x: is a sweep, expected a config — `rnnlab sweep resume runs/x` resumes it\n",
    )
    assert everything(Path("runs")) == before


def test_a_dry_run_shows_every_trial_and_creates_nothing(x: Path) -> None:
    result = rnnlab("sweep", "x.yaml", "--dry-run")
    assert (result.code, result.stderr) == (0, "")
    head, _, *table, alone, cost = result.stdout.splitlines()
    assert [line.split() for line in (head, *table)] == [
        ["trial", "cell.units", "seed"],
        *([name, name[6], name[-1]] for name in NAMES),
    ]
    assert re.fullmatch(
        r"4 trials, at most 8 steps and 32 sequences; at most about 0 s on \d+ processors?, "
        r"measured with 2 of 2 network shapes", cost,
    )  # fmt: skip
    assert alone == "each trial is trained alone: several at a time would be no faster"
    on_jax = ("--set", "backend=keras", "--set", "engine=jax", "--set", "keras.lanes=1")
    assert "keras.lanes is 1; a program for more" in rnnlab("sweep", "x.yaml", "--dry-run", *on_jax).stdout
    together = rnnlab("sweep", "x.yaml", "--dry-run", "--set", "sweep.population=3").stdout.splitlines()[-3:-1]
    assert together == [f"cell.units={units}: 2 trials, trained up to 2 side by side" for units in (2, 3)]
    value = json.loads(rnnlab("sweep", "--dry-run", "x.yaml", "--json").stdout)
    assert [(group["shared"], group["together"]) for group in value["groups"]] == [
        ({"cell.units": units}, 1) for units in (2, 3)
    ]
    assert [trial["config"]["cell"]["units"] for trial in value["trials"]] == [2, 2, 3, 3]
    assert (value["estimate"]["steps"], value["estimate"]["sequences"]) == (8, 32)
    assert [path.name for path in x.parent.iterdir()] == ["x.yaml"]


def test_the_script_has_one_command_per_trial_that_can_be_repeated(x: Path) -> None:
    result = rnnlab("sweep", "x.yaml", "--script", "--into", "jobs/x")
    assert (result.code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    for line in (lines[1], lines[1], lines[3]):
        program, *arguments = shlex.split(line)
        assert (program, child(*arguments, cwd="/").code) == ("rnnlab", 0)
    value = json.loads(rnnlab("sweep", "status", "jobs/x", "--json").stdout)
    assert [trial["state"] for trial in value["trials"]] == ["missing", "completed", "missing", "completed"]
    assert rnnlab("sweep", "x.yaml", "--into", "jobs/x").stderr.startswith(
        "sweep jobs/x: 4 trials, 2 already finished, 2 to"
    )


NO_SWEEP = "error[E_RUN]: runs: there is no sweep '%s' — `rnnlab sweep CONFIG` makes one"
BAD_OPTION = "error[E_USAGE]: Invalid value for"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing.yaml",), 2, "error[E_CONFIG]: nothing.yaml: no such file — "),
        (("plain.yaml",), 2, "error[E_CONFIG]: plain.yaml:1:1: no `sweep` section — `rnnlab train CONFIG` trains a "),
        (("x.yaml", "--set", "sweep.seeds=0"), 2, "error[E_CONFIG]: --set sweep.seeds=0: got 0, expected 1 to 20,000"),
        (("x.yaml", "--into", ".x"), 2, "error[E_USAGE]: invalid run name '.x': it starts with '.' — use 1 to 60"),
        (("x.yaml", "--workers", "0"), 2, f"{BAD_OPTION} '--workers' / '-j': got '0', expected a whole number"),
        (("x.yaml", "--timeout", "0"), 2, f"{BAD_OPTION} '--timeout': Input should be greater than or eq"),
        (("status", "y"), 3, NO_SWEEP % "y"),
        (("resume", "y"), 3, NO_SWEEP % "y"),
        (("cancel", ""), 3, NO_SWEEP % ""),
    ],
)
def test_errors_before_anything_is_made(x: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    Path("plain.yaml").write_text(QUICK)
    result = rnnlab("sweep", *arguments)
    assert (result.code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"rnnlab: {message}")
    assert sorted(path.name for path in x.parent.iterdir()) == ["plain.yaml", "x.yaml"]


def test_another_sweep_of_that_name_is_an_error(x: Path) -> None:
    assert rnnlab("sweep", "x.yaml", "-q", "--script").code == 0
    before = everything(Path("runs"))
    result = rnnlab("sweep", "x.yaml", "--set", "sweep.seeds=1")
    assert (result.code, result.stdout) == (2, "")
    problem = "already has another sweep: 2 of its 4 trials are not in this config, the first 0002-H2-seed1: "
    assert result.stderr.startswith(f"rnnlab: error[E_USAGE]: runs/x: {problem}")
    assert everything(Path("runs")) == before


def test_a_mistyped_command_is_not_a_config(here: Path) -> None:
    result = rnnlab("sweep", "statu", "x")
    assert result.code == 2
    assert "there is no command 'statu' — did you mean `rnnlab sweep status x`?" in result.stderr


def test_a_config_that_is_called_like_a_command(here: Path) -> None:
    (here / "status").write_text(SWEEP)
    assert rnnlab("sweep", "status").stderr.startswith("rnnlab: error[E_USAGE]: Missing argument 'SWEEP'")
    assert rnnlab("sweep", "./status", "--dry-run").stdout.splitlines()[-1].startswith("4 trials, ")


def test_trials_that_diverge_are_reported_and_not_repeated(here: Path) -> None:
    (here / "x.yaml").write_text(DIVERGING)
    result = rnnlab("sweep", "x.yaml", "--into", "s")
    assert result.code == 8
    assert result.stderr.splitlines()[-1] == (
        "rnnlab: error[E_TRIALS]: s: 1 of 2 trials failed or diverged — `rnnlab sweep status s` shows why; the same "
        "command retries those that failed"
    )
    lines = result.stdout.splitlines()
    assert lines[0] == "s: 1 completed, 1 diverged, of 2 trials"
    assert re.fullmatch(r"0001-sgd diverged at step \d+: .* is (inf|nan), expected a finite number", lines[2])
    attempt = RunFolder(here / "s/trials/0001-sgd").read_status().attempt
    assert rnnlab("sweep", "x.yaml", "--into", "s").code == 8
    assert RunFolder(here / "s/trials/0001-sgd").read_status().attempt == attempt


def endless(here: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a sweep that does not end, and wait until two trials are running."""
    (here / "x.yaml").write_text(f"{ENDLESS}sweep: {{seeds: 4}}\n")
    process = start("sweep", "x.yaml", "--into", "s", "--workers", "2", *arguments)
    trials = [here / "s" / "trials" / f"000{n}-seed{n - 1}" for n in (1, 2)]
    deadline = time.monotonic() + 30
    while not all(list(trial.glob("checkpoints/step-*")) for trial in trials):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_with_the_state_saved(here: Path, number: signal.Signals) -> None:
    with endless(here) as process:
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == 75
    assert out == "s: 2 missing, 2 interrupted, of 4 trials\n"
    ends = (
        rf"000[12]-seed[01] interrupted in \d+\.\d s: stopped by {number.name} at step [\d,]+, and the state is saved"
    )
    assert len(re.findall(ends, err)) == 2
    assert err.splitlines()[-1] == (
        f"s: stopped by {number.name}: 0 of 4 trials completed, 4 left — resume with the same command, or with "
        "`rnnlab sweep resume`"
    )
    assert not list((here / "s").rglob("lock-*.json"))


def test_a_second_ctrl_c_stops_at_once(here: Path) -> None:
    with endless(here) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in {75, 130}


def test_cancel_stops_a_sweep_from_elsewhere(here: Path) -> None:
    with endless(here, "-q") as process:
        status = rnnlab("sweep", "status", "s")
        result = rnnlab("sweep", "cancel", "s")
        process.communicate(timeout=30)
    assert status.stdout == "s: 2 running, 2 missing, of 4 trials\n"
    assert (result.code, result.stderr) == (0, "s: stopped 2 running trials; their state is saved\n")
    assert process.returncode == 75
    assert rnnlab("sweep", "cancel", "s").stderr.startswith("s: no trial is running; ")


def test_workers_end_when_the_runner_is_killed(here: Path) -> None:
    with endless(here) as process:
        process.kill()
    deadline = time.monotonic() + 10
    while "2 interrupted" not in (value := rnnlab("sweep", "status", "s").stdout):
        assert time.monotonic() < deadline, value
        time.sleep(0.1)
    assert value == "s: 2 missing, 2 interrupted, of 4 trials\n"
    for trial in ("0001-seed0", "0002-seed1"):
        assert RunFolder(here / "s/trials" / trial).read_status().message == "stopped by the end of `rnnlab sweep`"


def test_status_shows_why_trials_failed_and_which_is_best(x: Path) -> None:
    rnnlab("sweep", "x.yaml", "-q")
    sweep = SweepFolder(Path("runs/x"))
    plan = sweep.read_plan()
    run = sweep.run(plan.trials[0])
    run.write_status(run.read_status().changed(state="failed", message="OSError: it is Monday"))
    (sweep.run(plan.trials[1]).path / "status.json").write_text("half")
    result = rnnlab("sweep", "status", "x")
    assert (result.code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "runs/x: 2 completed, 1 failed, 1 damaged, of 4 trials"
    assert re.fullmatch(r"best loss: 0\.\d+ in 000[34]-H3-seed[01]", lines[1])
    assert lines[2] == f"{NAMES[0]} failed: OSError: it is Monday"
    assert lines[3].startswith(f"{NAMES[1]} damaged: status.json:1: is not valid JSON")
    value = json.loads(rnnlab("sweep", "status", "x", "--json", "--watch").stdout)
    assert list(value) == [
        "format", "sweep", "path", "method", "metric", "total", "counts", "solved", "best", "seconds_left", "trials"
    ]  # fmt: skip
    assert (value["format"], value["sweep"], value["path"]) == ("rnnlab-sweep/1", "x", "runs/x")
    assert [(trial["run"], trial["path"]) for trial in value["trials"]] == [(n, f"runs/x/trials/{n}") for n in NAMES]
    assert value["counts"]["completed"] == 2
    assert [trial["state"] for trial in value["trials"]] == ["failed", "damaged", "completed", "completed"]
    losses = [None, None, *(sweep.run(trial).read_summary().loss for trial in plan.trials[2:])]
    assert [trial["result"] for trial in value["trials"]] == losses
    assert value["best"] == min(zip(losses[2:], NAMES[2:], strict=True))[1]
    assert value["trials"][3]["values"] == {"cell.units": 3, "seed": 1}


def test_list_and_compare_take_a_sweep_as_a_group(x: Path) -> None:
    rnnlab("sweep", "x.yaml", "-q")
    listed = json.loads(rnnlab("list", "x", "--sort", "name", "--json").stdout)["runs"]
    assert [row["run"] for row in listed] == NAMES
    value = json.loads(rnnlab("compare", "x", "--json").stdout)
    assert sorted(run["run"] for run in value["runs"]) == NAMES
    assert rnnlab("list", "y").code == 3
    assert rnnlab("compare", "y").code == 3


def test_check_checks_all_trials(x: Path) -> None:
    result = rnnlab("check", "x.yaml")
    assert (result.code, result.stderr) == (0, f"ok: a sweep of 4 trials; this is the first, {NAMES[0]}\n")
    assert result.stdout.startswith(f"name: {NAMES[0]}\nseed: 0\n")
    bad = rnnlab("check", "x.yaml", "--set", "sweep={axes: {cell.units: [4, 0]}}", "--set", "cell={}")
    assert (bad.code, bad.stdout) == (2, "")
    assert "cell.units: got 0, expected at least 1 (trial 0002-H0)" in bad.stderr


def test_on_a_terminal_the_sweep_is_drawn_and_cleared(here: Path) -> None:
    (here / "x.yaml").write_text(f"{ENDLESS.replace('1000000000', '4000')}sweep: {{seeds: 3}}\n")
    code, shown = on_a_terminal("sweep", "x.yaml", "--into", "s", "--workers", "2")
    assert code == 0
    for drawn in ("0/3 trials", "2/3 trials", "0001-seed0", "/4,000", "loss 0.", "left"):
        assert drawn in shown
    left = [line for line in rest_on_screen(shown) if line]
    assert left[0] == "sweep s: 3 trials, 3 to train with 2 workers"
    assert left[1] == "s: 3 completed, of 3 trials"
    assert len(left) == 3
