"""Method tpe, with the real Optuna."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import ConfigError, RunLockedError, VerificationError
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.plan import Trial
from rnnlab.sweeps.pool import WorkerPool
from rnnlab.sweeps.search import Search, open_search
from rnnlab.sweeps.status import sweep_status
from tests.cli.program import rnnlab
from tests.sweeps.trying import ENDLESS, QUICK, accounts, make_sweep, run

pytestmark = pytest.mark.optuna
optuna: Any = pytest.importorskip("optuna", reason="needs the extra `optuna`")

SEARCH = """\
sweep:
  axes:
    cell.type: [simple, carry]
    cell.forget_bias: {from: 0.0, to: 3.0}
    training.optimizer.learning_rate: {from: 1e-4, to: 1e-1, scale: log}
    cell.units: {from: 4, to: 12, step: 4}
  when: {cell.forget_bias: {cell.type: carry}}
  method: tpe
  trials: 14
  seeds: 2
"""


def make(place: Path, section: str = SEARCH, base: str = QUICK) -> SweepFolder:
    return make_sweep(place, base + section)


def study(sweep: SweepFolder) -> Any:
    backend = optuna.storages.journal.JournalFileBackend(str(sweep.study / "journal.log"))
    return optuna.load_study(study_name="s", storage=optuna.storages.JournalStorage(backend))


def test_the_result_of_a_combination_is_the_mean_of_its_seeds(tmp_path: Path) -> None:
    sweep = make(tmp_path)
    assert [state for _, state in run(sweep, workers=1)] == ["completed"] * 28
    plan, known = sweep.read_plan(), study(sweep).trials
    assert [one.state.name for one in known] == ["COMPLETE"] * len(known)
    for one in known:
        alike = [trial for trial in plan.trials if trial.proposal == one.number]
        losses = [sweep.run(trial).read_summary().loss for trial in alike]
        assert one.value == pytest.approx(sum(losses) / 2)
        assert [trial.values["seed"] for trial in alike] == [0, 1]
        values = alike[0].values
        assert ("cell.forget_bias" in values) == (values["cell.type"] == "carry")
        assert values["cell.units"] in {4, 8, 12}
        assert 1e-4 <= values["training.optimizer.learning_rate"] <= 1e-1
    assert len({json.dumps(trial.values) for trial in plan.trials}) == 28
    assert run(sweep, workers=1) == []


def test_it_finds_what_is_better_than_chance_would(tmp_path: Path) -> None:
    """Of the last ten of thirty proposals most are near the best learning rate, of the first ten few are."""
    base = QUICK.replace("steps: 2", "steps: 30").replace("task: parity", "task: adding")
    section = """\
sweep:
  axes: {training.optimizer.learning_rate: {from: 1e-6, to: 1.0, scale: log}}
  method: tpe
  trials: 30
"""
    sweep = make(tmp_path, section, base)
    run(sweep, workers=1)
    rates = [trial.values["training.optimizer.learning_rate"] for trial in sweep.read_plan().trials]
    good = [0.001 < rate < 0.5 for rate in rates]
    assert sum(good[20:]) >= 7 > sum(good[:10])


def content(trial: Trial) -> dict[str, Any]:
    """Return all but Optuna's number, which counts what a killed process asked for and did not plan."""
    return trial.model_dump(exclude={"proposal"})


def test_killed_and_repeated_it_proposes_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(QUICK + SEARCH)
    whole = make(tmp_path / "", SEARCH)
    run(whole, workers=1)
    command = [sys.executable, "-m", "rnnlab", "sweep", "s.yaml", "--into", "killed/s", "--workers", "1", "--quiet"]
    rng = random.Random(3)
    for _ in range(4):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(1.0, 2.5))
            process.send_signal(signal.SIGKILL)
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    other = SweepFolder(tmp_path / "killed" / "s")
    assert [content(trial) for trial in other.read_plan().trials] == [
        content(trial) for trial in whole.read_plan().trials
    ]
    assert accounts(other) == accounts(whole)


def test_what_diverges_or_fails_is_learned_from(tmp_path: Path) -> None:
    base = QUICK.replace("batch_size: 4}", "batch_size: 4, optimizer: {type: sgd}}").replace("parity", "adding")
    base = base.replace("units: 4}", "units: 4, activation: linear}")
    section = """\
sweep:
  axes: {training.optimizer.learning_rate: [0.0001, 1000.0]}
  method: tpe
  trials: 2
"""
    sweep = make(tmp_path, section, base.replace("steps: 2", "steps: 40"))
    states = dict(run(sweep, workers=1))
    values = {trial.name: trial.values["training.optimizer.learning_rate"] for trial in sweep.read_plan().trials}
    assert {values[name]: state for name, state in states.items()} == {0.0001: "completed", 1000.0: "diverged"}
    assert sorted(str(one.value) for one in study(sweep).trials if one.state.name == "COMPLETE")[-1] == "inf"


def test_one_process_proposes(tmp_path: Path) -> None:
    sweep = make(tmp_path)
    with open_search(sweep), pytest.raises(RunLockedError, match="searched"), open_search(sweep):
        pass
    with open_search(sweep):
        pass


def test_random_combinations_are_checked_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cell\.units: got 0, expected at least 1"):
        make(tmp_path, "sweep: {axes: {cell.units: {from: 0, to: 1}}, method: tpe, trials: 2}\n")
    assert not (tmp_path / "runs").exists()


def test_without_optuna_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(QUICK + SEARCH)
    result = rnnlab("sweep", "s.yaml")
    assert (result.code, "pip install 'rnnlab[optuna]'" in result.stderr) == (5, True)
    assert not (tmp_path / "runs").exists()


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(QUICK + SEARCH.replace("14", "2"))
    dry = rnnlab("sweep", "s.yaml", "--dry-run")
    assert (dry.code, dry.stdout.splitlines()[-1]) == (
        0, "4 trials, at most 8 steps; 100 random combinations were checked",
    )  # fmt: skip
    for option in ("--slurm", "--script"):
        result = rnnlab("sweep", "s.yaml", option)
        assert (result.code, result.stdout) == (2, "")
        assert f"{option}: method: tpe proposes each trial from the results of others" in result.stderr
    assert [path.name for path in Path().iterdir()] == ["s.yaml"]
    done = rnnlab("sweep", "s.yaml", "--into", "s", "--quiet", "--workers", "1")
    assert (done.code, done.stdout.splitlines()[0]) == (0, "s: 4 completed, of 4 trials")
    assert rnnlab("sweep", "status", "s").stdout.startswith("s: 4 completed, of 4 trials")
    more = rnnlab("sweep", "s.yaml", "--into", "s", "--quiet", "--workers", "1", "--set", "sweep.trials=3")
    assert (more.code, more.stdout.splitlines()[0]) == (0, "s: 6 completed, of 6 trials")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        # a condition may come before the axis it depends on
        (
            "{cell.forget_bias: [0.0, 2.0], cell.type: [simple, carry]}, when: {cell.forget_bias: {cell.type: carry}}",
            [("carry", 0.0), ("carry", 2.0), ("simple", None)],
        ),
        # a seed may be an axis
        ("{seed: [5, 6, 7], cell.type: [simple]}", [("simple", None)] * 3),
        # zipped axes are set where their own conditions hold
        (
            "{cell.type: [simple, carry], cell.forget_bias: [0.0, 2.0], cell.units: [3, 4]}, "
            "zip: [[cell.forget_bias, cell.units]], when: {cell.forget_bias: {cell.type: carry}}",
            [("carry", 0.0), ("carry", 2.0), ("simple", None), ("simple", None)],
        ),
    ],
)
def test_all_of_a_small_space_is_proposed(tmp_path: Path, section: str, expected: list[Any]) -> None:
    sweep = make(tmp_path, f"sweep: {{axes: {section}, method: tpe, trials: 9}}\n")
    run(sweep, workers=2)
    values = [trial.values for trial in sweep.read_plan().trials]
    found = sorted(((one["cell.type"], one.get("cell.forget_bias")) for one in values), key=str)
    assert found == sorted(expected, key=str)
    assert len({json.dumps(one, sort_keys=True) for one in values}) == len(expected)


def test_a_record_that_is_damaged(tmp_path: Path) -> None:
    sweep = make(tmp_path, SEARCH.replace("14", "2"))
    run(sweep, workers=1)
    path = sweep.study / "journal.log"
    data = path.read_bytes()
    path.write_bytes(data + b'{"half a')
    assert run(sweep, workers=1) == []
    assert path.read_bytes().startswith(data)
    assert b"half a" not in path.read_bytes()
    path.write_bytes(b"?\n" + data)
    for _ in range(2):  # the lock is given back
        with pytest.raises(VerificationError, match=r"journal\.log: is damaged"):
            run(sweep, workers=1)


def test_bad_trials_are_pruned(tmp_path: Path) -> None:
    """Learning rates of 1e-9 learn nothing: after five trials the median of the others is far below."""
    base = (
        QUICK.replace("steps: 2", "steps: 400")
        .replace("parity", "adding")
        .replace("batch_size: 4}", "batch_size: 4, evaluate_every: 20}")
    )
    section = """\
sweep:
  axes: {training.optimizer.learning_rate: {from: 1e-9, to: 1e-2, scale: log}}
  method: tpe
  pruner: median
  trials: 14
"""
    sweep = make(tmp_path, section, base)
    states = dict(run(sweep, workers=1))
    assert set(states.values()) == {"completed", "pruned"}
    pruned = [name for name, state in states.items() if state == "pruned"]
    assert Counter(one.state.name for one in study(sweep).trials) == {
        "COMPLETE": 14 - len(pruned), "PRUNED": len(pruned)
    }  # fmt: skip
    assert run(sweep, workers=1) == []  # they are not tried again
    status = sweep_status(sweep)
    assert status.best is not None
    assert (status.counts["pruned"], status.failures) == (len(pruned), [])
    rates = {one.trial.name: one.trial.values["training.optimizer.learning_rate"] for one in status.trials}
    assert all(rates[name] < rates[status.best.trial.name] for name in pruned)
    stopped = [one for one in status.trials if one.state == "pruned"]
    assert min(one.step for one in stopped) >= 20  # not for the score before the first step
    stored = sweep.run(stopped[0].trial).read_status()
    assert (stored.state, stored.message) == ("interrupted", "stopped by the pruner")


def test_a_worker_that_dies_while_its_trial_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = "sweep: {axes: {cell.units: [3, 4]}, method: tpe, pruner: median, trials: 2}\n"
    sweep, pools = make(tmp_path, section, ENDLESS), list[WorkerPool]()
    monkeypatch.setattr("rnnlab.sweeps.runner.WorkerPool", lambda size: pools.append(WorkerPool(size)) or pools[0])  # type: ignore[func-returns-value]

    def should_prune(self: Search, trial: Trial, *, step: int, value: float) -> bool:
        (worker,) = pools[0].workers
        os.kill(worker.pid, signal.SIGKILL)
        return True

    monkeypatch.setattr(Search, "should_prune", should_prune)
    assert [state for _, state in run(sweep, workers=1)] == ["pruned"] * 2
    monkeypatch.undo()
    assert [one.state.name for one in study(sweep).trials] == ["PRUNED"] * 2
    assert run(sweep, workers=1) == []
