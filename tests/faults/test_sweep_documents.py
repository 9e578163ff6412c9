"""The documents of a sweep, each field with each wrong value and a valid seal: an error or a status, never a bug."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.text import visible_lines
from rnnlab.storage.jsonfile import read_json, write_json
from rnnlab.sweeps import SweepFolder, Trial, runner, search
from rnnlab.sweeps.pool import Worker
from rnnlab.sweeps.slurm.jobs import SlurmFolder
from rnnlab.sweeps.slurm.script import JobArray, Request
from rnnlab.sweeps.status import trial_status
from rnnlab.training.resume import train_into
from tests.cli.program import TINY, Result, rnnlab
from tests.faults.wrong_values import edited
from tests.sweeps.trying import make_sweep

pytestmark = pytest.mark.optuna
pytest.importorskip("optuna", reason="needs the extra `optuna`")

GRID = "sweep: {seeds: 2, axes: {cell.units: [3, 4], training.clip_norm: {from: 1, to: 2, count: 2}}, "
GRID += "zip: [[cell.units, training.clip_norm]]}\n"
SEARCH = "sweep: {method: tpe, trials: 4, axes: {cell.units: {from: 2, to: 9}, task: [adding, parity]}}\n"
COMMANDS = ("sweep status", "sweep status --json", "sweep resume -q -j 1", "sweep cancel", "list", "compare")
DOCUMENTS = {
    "grid": ("plan.json", "failures/0002-H3-clip_norm1-seed1.json", "cancel.json", "slurm/0001.json"),
    "search": ("plan.json", "cancel.json"),
}
PATIENCE = 10.0  # seconds; a command takes a fraction of one
EVERY = 199  # of the edits in the default run: a prime, so that all fields and values have their turn


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep and a search, each with a trial that failed or is missing."""
    place = tmp_path_factory.mktemp("sweeps")
    grid = make_sweep(place, TINY + GRID, "grid")
    plan = grid.read_plan()
    for trial in plan.trials:
        train(grid, trial)
    second = plan.trials[1]
    shutil.rmtree(grid.run(second).path)
    grid.write_failure(plan, second, "a test")
    array = JobArray(number=1, name="grid-x1-1", request=Request(time="90"), tasks=((second.name,),), job=12)
    (grid.path / "slurm").mkdir()
    SlurmFolder(grid.slurm).write(array)
    tpe = make_sweep(place, TINY + SEARCH, "search")
    with search.open_search(tpe) as optuna:
        while optuna.has_more:
            for trial in optuna.propose():
                train(tpe, trial)
                optuna.report(trial_status(tpe, optuna.plan, trial))
    shutil.rmtree(tpe.run(tpe.read_plan().trials[1]).path)
    for sweep in (grid, tpe):
        sweep.request_cancel()
    return place / "runs"


def train(sweep: SweepFolder, trial: Trial) -> None:
    """Train a trial in this process, which is faster than in a worker."""
    experiment = load_experiment(sweep.config(trial)).experiment
    list(train_into(sweep.run(trial).path, experiment, config=b"", argv=["x"]))


@pytest.fixture
def runs(sweeps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, without a cluster; workers cannot be started, so that no trial is trained."""

    def no_worker(self: Worker) -> None:
        raise EnvironmentFault("no worker is started in this test")

    monkeypatch.setattr(Worker, "__init__", no_worker)
    monkeypatch.setattr(runner, "_WAIT_SECONDS", 0.0)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("RNNLAB_RUNS", str(tmp_path / "runs"))
    return Path(shutil.copytree(sweeps, tmp_path / "runs"))


def faults_of(result: Result) -> Iterator[str]:
    text = result.stdout + result.stderr
    if result.code not in {0, 2, 3, 4, 5, 6, 8, 75} or "E_BUG" in text or "Traceback" in text:
        yield f"exit code {result.code}: {text[-300:]}"
    if visible_lines(text) != text:
        yield "characters that control a terminal"


def faults(sweep: Path, edit: str, commands: Sequence[str]) -> list[str]:
    """Run the commands; return what is wrong with how they ended."""
    found = []
    for command in commands:
        before = time.perf_counter()
        first, *rest = command.split(" -")
        result = rnnlab(*first.split(), str(sweep), *(word for one in rest for word in f"-{one}".split()))
        seconds = time.perf_counter() - before
        slow = [f"{seconds:.1f} s"] if seconds > PATIENCE else []
        found += [f"{edit}: {command}: {fault}" for fault in (*faults_of(result), *slow)]
    return found


def try_edits(runs: Path, kind: str, document: str, every: int) -> int:
    path, count = runs / kind / document, 0
    sound = {one: one.read_bytes() for one in (runs / kind).rglob("*") if one.is_file()}
    value, found = read_json(path), list[str]()
    for edit, changed in islice(edited(value), len(document) % every, None, every):
        write_json(path, changed)
        found += faults(runs / kind, edit, COMMANDS if every > 1 else (*COMMANDS, "report --out x.html"))
        for one, data in sound.items():
            if not one.exists() or one.read_bytes() != data:
                one.write_bytes(data)
        count += 1
    assert found == []
    return count


CASES = [(kind, document) for kind, documents in DOCUMENTS.items() for document in documents]


@pytest.mark.parametrize(("kind", "document"), CASES)
def test_some_wrong_values(here: Path, runs: Path, kind: str, document: str) -> None:
    assert try_edits(runs, kind, document, EVERY) > 0


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "document"), CASES)
def test_all_wrong_values(here: Path, runs: Path, kind: str, document: str) -> None:
    assert try_edits(runs, kind, document, 1) > 20


def journal_edits(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield Optuna's record with one line edited, repeated, left out or replaced."""
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        value: dict[str, Any] = json.loads(line)
        yield f"line {number} left out", b"".join(lines[:number] + lines[number + 1 :])
        for edit, changed in edited(value):
            text = json.dumps(changed).encode() + b"\n"
            yield f"line {number} {edit}", b"".join([*lines[:number], text, *lines[number + 1 :]])
    for raw in (b"\x00" * 100, b"[]\n", b"1\n", b'"\n', b"{}\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n"):
        yield f"{raw[:5]!r} added", b"".join(lines) + raw


def try_journal(runs: Path, every: int) -> int:
    path, count, found = runs / "search" / "study" / "journal.log", 0, list[str]()
    data, plan = path.read_bytes(), (runs / "search" / "plan.json").read_bytes()
    for edit, changed in islice(journal_edits(path), 7 % every, None, every):
        path.write_bytes(changed)
        (runs / "search" / "plan.json").write_bytes(plan)
        found += faults(runs / "search", edit, ("sweep status", "sweep resume -q -j 1"))
        count += 1
    path.write_bytes(data)
    assert found == []
    return count


def test_some_wrong_values_in_a_search_record(here: Path, runs: Path) -> None:
    assert try_journal(runs, 601) > 0


@pytest.mark.soak
def test_all_wrong_values_in_a_search_record(here: Path, runs: Path) -> None:
    assert try_journal(runs, 1) > 100


@pytest.mark.parametrize("kind", ["a pipe", "a link", "huge"])
def test_a_search_record_that_is_no_plain_file(
    here: Path, runs: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_LARGEST_JOURNAL", 1 << 20)
    path = runs / "search" / "study" / "journal.log"
    data = path.read_bytes()
    path.unlink()
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link":
        (here / "other").write_bytes(data)
        path.symlink_to(here / "other")
    else:
        path.write_bytes(data)
        os.truncate(path, 1 << 32)
    result = rnnlab("sweep", "resume", str(runs / "search"), "-q")
    assert result.code == 4, result.stderr
    assert "study/journal.log: " in result.stderr


@pytest.mark.parametrize("folder", ["configs", "trials", "failures", "study", "slurm"])
def test_a_folder_that_leads_out_of_the_sweep(here: Path, runs: Path, folder: str) -> None:
    path = runs / "grid" / folder
    if path.exists():
        path.rename(here / "elsewhere")
    else:
        (here / "elsewhere").mkdir()
    path.symlink_to(here / "elsewhere")
    for command in ("sweep status", "sweep resume", "sweep cancel"):
        result = rnnlab(*command.split(), str(runs / "grid"))
        assert result.code == 4, result.stderr
        assert f"grid/{folder}: is not a folder of this sweep" in result.stderr


def test_one_damaged_failure_is_one_damaged_trial(here: Path, runs: Path) -> None:
    """A failure that is cut, or copied from another sweep, is no reason to show nothing of the others."""
    grid = SweepFolder(runs / "grid")
    path = runs / "grid" / "failures" / "0002-H3-clip_norm1-seed1.json"
    of_another = {**read_json(path), "sweep": "0" * 16}
    for content, reason in ((None, "was changed since it was written"), (of_another, "is of another sweep or trial")):
        if content:
            write_json(path, content)
        else:
            path.write_bytes(path.read_bytes().replace(b"a test", b"a jest"))
        result = rnnlab("sweep", "status", str(grid.path))
        assert result.code == 0
        assert "3 completed, 1 damaged, of 4 trials" in result.stdout
        assert reason in result.stdout


def test_swapped_run_folders_are_noticed(here: Path, runs: Path) -> None:
    trials = runs / "grid" / "trials"
    first, _, third, fourth = (trial.name for trial in SweepFolder(runs / "grid").read_plan().trials)
    for source, target in ((third, "x"), (fourth, third), ("x", fourth)):
        (trials / source).rename(trials / target)
    result = rnnlab("sweep", "status", str(runs / "grid"))
    assert "1 completed, 1 failed, 2 damaged" in result.stdout
    assert f"{third} damaged: has the run of another trial, {fourth}" in result.stdout
    assert first in result.stdout
