"""Signals, resuming and the lock, in real processes: what is stored and shown, and the exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.core.errors import StoppedError
from rnnlab.storage import RunFolder
from rnnlab.training.resume import train_into
from rnnlab.training.stopping import Stop
from tests.cli.jobs import everything
from tests.cli.program import ENDLESS, TINY, child, rnnlab, start
from tests.training.resuming import account

SAVING = ENDLESS.replace("training: {", "training: {checkpoint: {every_steps: 10}, ")


@contextmanager
def ended(process: Any) -> Iterator[Any]:
    """A process that is gone at the end, however the test ends."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(run: Path, pattern: str = "metrics.jsonl", lines: int = 3) -> RunFolder:
    for _ in range(1200):
        if (run / pattern).exists() and len((run / pattern).read_bytes().splitlines()) >= lines:
            return RunFolder(run)
        time.sleep(0.05)
    raise AssertionError("no training began in 60 s")


def stopped(here: Path, *signals: int, options: tuple[str, ...] = (), **settings: Any) -> tuple[int, str, RunFolder]:
    """Start an endless training in `job`, send it signals, and return how it ended."""
    (here / "x.yaml").write_text(SAVING)
    with ended(start("train", "x.yaml", "--into", "job", "-q", *options, **settings)) as process:
        run = wait_for(here / "job")
        for number in signals:
            process.send_signal(number)
        _, err = process.communicate(timeout=60)
    return process.returncode, err, run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_saves_and_stops(here: Path, number: signal.Signals) -> None:
    code, err, run = stopped(here, number)
    status = run.read_status()
    assert (code, status.state, status.exit_code, status.message) == (
        75,
        "interrupted",
        75,
        f"stopped by {number.name}",
    )
    assert err == (
        f"job: stopped by {number.name} at step {status.step:,}, and the state is saved"
        " — `rnnlab train --resume job` resumes it\n"
    )
    assert run.checkpoints().steps()[0] == status.step == run.read_summary().steps
    assert json.loads(rnnlab("doctor", "job", "--json").stdout)["healthy"]
    (found,) = json.loads(rnnlab("list", "--runs", ".", "--json").stdout)["runs"]
    assert (found["state"], found["steps"]) == ("interrupted", status.step)


def test_another_signal_may_be_named(here: Path) -> None:
    code, _, run = stopped(here, signal.SIGUSR2, options=("--signal", "SIGUSR2"))
    assert (code, run.read_status().message) == (75, "stopped by SIGUSR2")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGUSR3", "", "15"])
def test_a_signal_that_cannot_be_caught(here: Path, name: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", "x.yaml", "--signal", name)
    assert result.code == 2
    assert result.stderr.startswith(f"rnnlab: error[E_USAGE]: --signal: '{name}' is not a signal that can be caught")
    assert not (here / "runs").exists()


def test_a_storm_of_signals_saves_once(here: Path) -> None:
    code, err, run = stopped(here, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM)
    assert (code, len(err.splitlines())) == (75, 1)
    assert run.read_status().message in {"stopped by SIGTERM", "stopped by SIGUSR1", "stopped by SIGHUP"}


def test_a_signal_that_was_off_stays_off(here: Path) -> None:
    """As under `nohup`."""
    code, _, run = stopped(
        here, signal.SIGHUP, signal.SIGTERM, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    assert (code, run.read_status().message) == (75, "stopped by SIGTERM")


def test_signals_are_given_back(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)]
    assert rnnlab("train", "x.yaml", "-q").code == 0
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)]
    assert after == before


SLOW = """
import sys, time
from rnnlab.backends.numpy import NumpyModel
from rnnlab.cli.main import main
NumpyModel._train_once = lambda *_: (print("in a step", flush=True), time.sleep(60))
sys.argv = ["rnnlab", "train", "x.yaml", "--into", "job", "-q"]
main()
"""


def test_a_second_ctrl_c_stops_at_once(here: Path) -> None:
    """In the middle of a step that takes a minute; what is stored is of the last checkpoint."""
    (here / "x.yaml").write_text(TINY)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ended(subprocess.Popen([sys.executable, "-c", SLOW], **pipes)) as process:
        assert process.stdout.readline() == "in a step\n"
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    status = RunFolder(here / "job").read_status()
    assert (process.returncode, status.state, status.exit_code, status.step) == (130, "interrupted", 130, 0)
    assert err.splitlines()[0] == "stopped at once; `rnnlab train --resume job` resumes from the last checkpoint"
    assert json.loads(rnnlab("doctor", "job", "--json").stdout)["healthy"]
    assert rnnlab("train", "--resume", "job", "-q").code == 0


def test_killed_it_is_stale_and_the_same_command_resumes(here: Path) -> None:
    (here / "x.yaml").write_text(SAVING)
    setting = ["--set", "training.steps=400"]
    with ended(start("train", "x.yaml", "--into", "job", "-q", *setting)) as process:
        run = wait_for(here / "job")
        process.kill()
    (found,) = json.loads(rnnlab("list", "--runs", ".", "--json", "--filter", "state=stale").stdout)["runs"]
    # A kill between the two leaves either the newest record or the newest checkpoint behind the other.
    reached = max(run.read_metrics().records[-1]["step"], run.read_status().step)
    assert (found["run"], found["steps"]) == ("job", reached)
    assert "to resume it:  rnnlab train --resume" in rnnlab("show", "job").stdout
    found = rnnlab("doctor", "job")
    assert (found.code, found.stdout.startswith("job: stale at step ")) == (0, True)
    assert rnnlab("train", "x.yaml", "--into", "job", "-q", *setting).code == 0
    assert rnnlab("train", "x.yaml", "--into", "whole", "-q", *setting).code == 0
    assert account(run) == account(RunFolder(here / "whole"))
    done = rnnlab("train", "x.yaml", "--into", "job", "--json", *setting)
    assert (done.code, done.stderr) == (0, "job: already complete, nothing to do\n")
    assert json.loads(done.stdout)["steps"] == 400


def test_the_second_process_names_the_first(here: Path) -> None:
    (here / "x.yaml").write_text(SAVING)
    with ended(start("train", "x.yaml", "--into", "job", "-q")) as process:
        run = wait_for(here / "job")
        for arguments in (["x.yaml", "--into", "job"], ["--resume", "job"]):
            second = rnnlab("train", *arguments)
            assert (second.code, second.stdout) == (6, "")
            assert second.stderr.startswith("rnnlab: error[E_LOCKED]: ")
            assert f"job: is being trained by process {process.pid} on " in second.stderr
        assert run.read_status().attempt == 1
        taken = child("train", "--resume", "job", "--force-unlock", "-q", "--set", "training.max_seconds=1")
        assert taken.code == 75, taken.stderr
        _, err = process.communicate(timeout=60)
    assert process.returncode == 6
    assert "so this process writes nothing more to it" in err
    assert (run.read_status().attempt, run.read_status().message) == (2, "stopped by training.max_seconds=1")
    assert json.loads(rnnlab("doctor", "job", "--json").stdout)["healthy"]


def test_who_was_paused_and_overtaken_writes_nothing_more(here: Path) -> None:
    """As a virtual machine that is frozen, or a node that was cut off: it comes back after another has resumed."""
    (here / "x.yaml").write_text(SAVING)
    with ended(start("train", "x.yaml", "--into", "job", "-q")) as process:
        wait_for(here / "job")
        process.send_signal(signal.SIGSTOP)
        assert rnnlab("train", "--resume", "job").code == 6  # paused is not dead
        taken = child("train", "--resume", "job", "--force-unlock", "-q", "--set", "training.max_seconds=1")
        assert taken.code == 75, taken.stderr
        before = everything(here / "job")
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (6, 1)
    assert everything(here / "job") == before
    assert json.loads(rnnlab("doctor", "job", "--json").stdout)["healthy"]


def test_a_signal_to_the_whole_group_of_processes_saves_once(here: Path) -> None:
    """As Slurm and terminals send it, to the helpers too."""
    (here / "x.yaml").write_text(SAVING.replace("training: {", "training: {batch_size: 64, ") + "numpy: {shards: 2}\n")
    with ended(start("train", "x.yaml", "--into", "job", "-q", start_new_session=True)) as process:
        run = wait_for(here / "job")
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGCONT, signal.SIGTERM):
            os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (75, 1)
    assert run.checkpoints().steps()[0] == run.read_status().step
    assert run.read_status().message == "stopped by SIGTERM"
    assert rnnlab("doctor", "job").code == 0


@pytest.mark.parametrize(("count", "seconds"), [(3, 2.5), pytest.param(6, 4, marks=pytest.mark.soak)])
def test_of_several_that_resume_at_once_one_trains(here: Path, count: int, seconds: float) -> None:
    stopped(here, signal.SIGKILL)
    command = ["train", "--resume", "job", "-q", "--set", f"training.max_seconds={seconds}"]
    processes = [start(*command) for _ in range(count)]
    codes = sorted((process.communicate(timeout=60), process.returncode)[1] for process in processes)
    assert codes == [6] * (count - 1) + [75]
    assert json.loads(rnnlab("doctor", "job", "--json").stdout)["healthy"]


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (["x.yaml", "--resume", "job"], 2, "got both, expected either CONFIG or --resume RUN"),
        (["--resume", ""], 2, "the name of the run is empty"),
        (["--resume", "../x"], 3, "there is no run '../x'"),
        (["--resume", "job", "--into", "other"], 2, "--into: cannot be combined with --resume"),
        (["--resume", "job", "--name", "other"], 2, "--name: cannot be combined with --resume"),
        (["x.yaml", "--force-unlock"], 2, "has no effect on a new run"),
        (["x.yaml", "--into", "a b"], 2, "invalid run name 'a b'"),
        (["x.yaml", "--into", "x.yaml"], 5, "is not a folder, and a folder is needed"),
    ],
)
def test_what_cannot_be_asked(here: Path, arguments: list[str], code: int, found: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", *arguments)
    assert (result.code, result.stdout) == (code, "")
    assert found in result.stderr
    assert [path.name for path in here.iterdir()] == ["x.yaml"]


def test_what_was_out_of_the_ordinary_is_a_warning(here: Path) -> None:
    _, _, run = stopped(here, signal.SIGTERM)
    newest, older = run.checkpoints().steps()
    path = run.checkpoints().path(newest)
    path.write_bytes(b"")
    result = rnnlab("train", "--resume", "job", "--set", f"training.steps={newest}", "-q")
    assert result.code == 0, result.stderr
    lost = newest - older
    empty = "cannot be loaded: its 0 bytes are not a whole safetensors file"
    again = f"{lost} step{'s' * (lost > 1)} will be trained again"
    assert result.stderr.splitlines() == [
        f"rnnlab: warning: {path.name} {empty}",
        f"rnnlab: warning: resuming from the checkpoint of step {older:,}: {again}",
    ]


def test_doctor_names_what_is_bad(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    assert rnnlab("train", "x.yaml", "--into", "job", "-q").code == 0
    (here / "job" / "summary.json").unlink()
    found = rnnlab("doctor", "job")
    assert (found.code, found.stdout.splitlines()[0]) == (4, "job: completed at step 20; 1 bad")
    assert "bad    summary.json" in found.stdout
    found = json.loads(rnnlab("doctor", "job", "--json").stdout)
    assert (found["healthy"], found["state"], found["step"]) == (False, "completed", 20)
    assert {"file": "summary.json", "result": "bad", "detail": "is missing"} in found["findings"]


@pytest.mark.usefixtures("single_updates")
def test_on_keras_too_it_ends_the_same(here: Path) -> None:
    """A graph compiled anew, in a process of its own as on a cluster, gives the same bits."""
    (here / "x.yaml").write_text(
        TINY.replace("steps: 20", "steps: 9, bptt_steps: 3, schedule: cosine, stop_when_solved: false").replace(
            "evaluate_every: 10", "evaluate_every: 4"
        )
        + "backend: keras\n"
    )
    assert rnnlab("train", "x.yaml", "--into", "whole", "-q").code == 0
    stop, experiment = Stop(), load_experiment(Path("x.yaml")).experiment
    events = train_into(Path("cut"), experiment, config=b"", argv=[], stop=stop)
    with pytest.raises(StoppedError):
        deque(stop.ask("a test") for event in events if getattr(event, "step", 0) == 5)
    assert RunFolder(here / "cut").read_status().step == 5
    assert child("train", "--resume", "cut", "-q", environment={"CUDA_VISIBLE_DEVICES": "-1"}).code == 0
    assert account(RunFolder(here / "cut")) == account(RunFolder(here / "whole"))
