"""Real child processes: their rounds, how they end, and that none survives the measurement."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnlab.bench import measure as measuring
from rnnlab.bench.contenders import CONTENDERS
from rnnlab.bench.measure import measure
from rnnlab.bench.work import TOLERANCE, Work, read_shape
from rnnlab.cells import CELLS

TINY = Work.of("carry", read_shape("T5xB4xD2xH3"))
NUMPY = CONTENDERS["numpy"]
LOST = replace(NUMPY, engine="no-such-engine")


def test_a_child_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    (trial,) = measure({TINY: [NUMPY]}, threads=[1], rounds=1)
    assert (trial.failure, trial.place, trial.round) == ("", (1, 1), 1)
    assert trial.difference is not None
    assert trial.difference < TOLERANCE / 10
    assert not trial.is_wrong
    assert "Prescott" not in trial.results["kernels"]
    assert 10 * 2**20 < trial.results["peak_bytes"] < 2**30
    assert trial.results["steps"] == 200


@pytest.mark.engines
def test_a_child_on_jax_answers() -> None:
    pytest.importorskip("jax", reason="needs the extra `jax`")
    stopped = Work(CELLS.get("lstm_1997").Options(units=3, truncate=True), TINY.shape)  # its equation stops gradients
    for trial in measure({one: [CONTENDERS["jax_scan"]] for one in (TINY, stopped)}, threads=[1], rounds=1):
        assert trial.failure == ""
        assert trial.difference is not None
        assert trial.difference < TOLERANCE / 10


@pytest.mark.engines
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")
def test_on_a_gpu_a_library_that_finds_none_is_not_measured() -> None:
    pytest.importorskip("torch", reason="needs the extra `torch`")
    (trial,) = measure({TINY: [CONTENDERS["torch_loop"]]}, threads=[1], rounds=1, device="gpu")
    assert trial.failure == "RuntimeError: its library finds no GPU: install the one for CUDA"


def test_rounds_are_interleaved_and_a_failed_contender_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def child(request: Any) -> tuple[dict[str, Any], str]:
        started.append((request.contender, request.threads))
        fails = request.contender == str(LOST) and request.threads == 2
        return ({}, "gone") if fails else ({"loss": None}, "")

    monkeypatch.setattr(measuring, "_child", child)
    trials = list(measure({TINY: [NUMPY, LOST]}, threads=[1, 2], rounds=2))
    first = [("numpy", 1), ("numpy/no-such-engine", 1), ("numpy", 2), ("numpy/no-such-engine", 2)]
    assert started == [*first, *first[:-1]]
    assert [trial.place for trial in trials] == [(n, 8) for n in range(1, 8)]
    assert [trial.failure for trial in trials] == ["", "", "", "gone", "", "", ""]


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (KILLED, "killed by SIGKILL"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("raise SystemExit(3)", "ended with exit code 3 and printed nothing"),
        ("print('not JSON')", "ended with exit code 0 and printed nothing"),
        ("import time; time.sleep(60)", "took more than 1 s"),
    ],
)
def test_why_a_child_failed(monkeypatch: pytest.MonkeyPatch, program: str, reason: str) -> None:
    start = subprocess.Popen
    monkeypatch.setattr(measuring, "_PATIENCE", 1.0)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **how: start([sys.executable, "-c", program], **how))
    (trial,) = measure({TINY: [NUMPY]}, threads=[1], rounds=3)
    assert (trial.failure, trial.results, trial.difference) == (reason, {}, None)


def test_an_interrupt_kills_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[str]] = []
    start = subprocess.Popen

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    def begin(command: list[str], **how: Any) -> subprocess.Popen[str]:
        children.append(start([sys.executable, "-c", "import time; time.sleep(60)"], **how))
        monkeypatch.setattr(children[0], "communicate", interrupt)
        return children[0]

    monkeypatch.setattr(subprocess, "Popen", begin)
    with pytest.raises(KeyboardInterrupt):
        list(measure({TINY: [NUMPY]}, threads=[1], rounds=1))
    assert children[0].returncode == -signal.SIGKILL


def test_the_folder_of_the_gradients_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trials = measure({TINY: [NUMPY]}, threads=[1], rounds=2)
    next(trials)
    assert len(list(tmp_path.iterdir())) == 1
    trials.close()
    assert list(tmp_path.iterdir()) == []
