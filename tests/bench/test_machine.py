"""The load by other programs, from a /proc/stat made by hand, and the environment of a child."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnlab.bench import measure
from rnnlab.bench.child import peak_memory
from rnnlab.bench.measure import Moment, confined, cores_of_others, environment_for, now

STAT = """\
cpu  999 999 999 999 999 999 999 999 0 0
cpu0 {user} 10 20 5000 70 5 5 10 40 0
cpu1 100 0 0 5000 0 0 0 0 0 0
cpu9 88888 0 0 0 0 0 0 0 0 0
intr 1 2 3
"""


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc/stat in units of 10 ms, read by a process that may use processors 0 and 1."""
    monkeypatch.setattr(measure, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    return tmp_path / "stat"


def test_idle_time_and_other_processors_do_not_count(stat: Path) -> None:
    stat.write_text(STAT.format(user=150))
    moment = now()
    assert moment is not None
    assert moment.busy == 3.0  # user, nice, system, irq, softirq and steal of 0; user of 1


@pytest.mark.parametrize(
    ("ticks", "own", "cores"),
    [(400, 4.0, 0.0), (400, 3.0, 0.5), (400, 0.0, 2.0), (100, 4.0, 0.0)],
    ids=["ours alone", "half a core", "both", "less than ours, by rounding"],
)
def test_the_rest_is_of_other_programs(stat: Path, ticks: int, own: float, cores: float) -> None:
    stat.write_text(STAT.format(user=150))
    before = now()
    stat.write_text(STAT.format(user=150 + ticks))
    after = now()
    assert before is not None
    assert after is not None
    later = Moment(before.at + 2.0, after.busy, before.own + own)
    assert cores_of_others(before, later) == pytest.approx(cores, abs=1e-9)


def test_a_system_that_reports_nothing(stat: Path) -> None:
    assert now() is None
    assert cores_of_others(None, None) is None


def test_a_child_gets_its_threads_and_no_choice_of_kernels() -> None:
    given = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "512", "OMP_NUM_THREADS": "8", "HOME": "/home/x"}
    made = environment_for(2, given)
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & made.keys()
    assert [made[f"{name}_NUM_THREADS"] for name in ("OPENBLAS", "OMP", "MKL")] == ["2", "2", "2"]
    assert (made["CUDA_VISIBLE_DEVICES"], made["HOME"]) == ("-1", "/home/x")
    assert given["OMP_NUM_THREADS"] == "8"


def test_on_a_gpu_it_is_not_hidden_and_jax_has_no_other_choice() -> None:
    made = environment_for(1, {"CUDA_VISIBLE_DEVICES": "3", "JAX_PLATFORMS": "cpu"}, device="gpu")
    assert (made["CUDA_VISIBLE_DEVICES"], made["JAX_PLATFORMS"]) == ("3", "cuda")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_confinement_ends() -> None:
    before = os.sched_getaffinity(0)
    with confined(1):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_peak_memory_grows_with_what_is_allocated() -> None:
    before = peak_memory()
    held = bytearray(os.urandom(1)) * (64 << 20)
    after = peak_memory()
    assert before is not None
    assert after is not None
    assert len(held) <= after < 100 << 30
    assert after >= before > 1 << 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_private_memory_of_children_counts() -> None:
    hold = "held = bytearray(b'x') * (64 << 20); print(len(held), flush=True); input()"
    before = peak_memory()
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        after = peak_memory()
        child.communicate(b"\n")
    assert before is not None
    assert after is not None
    assert 64 << 20 <= after - before < 128 << 20
