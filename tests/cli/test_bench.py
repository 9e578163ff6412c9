"""`rnnlab bench`: errors before it measures, what it prints, how it ends."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnlab.bench.contenders import CONTENDERS
from rnnlab.bench.measure import Trial
from rnnlab.storage.provenance import Cpu
from tests.bench.trials import CARRY, JAX, NUMPY, SIMPLE, TORCH, failed, trial
from tests.cli.program import TINY, rnnlab, start
from tests.cli.test_json_documents import require_schema

KERAS = CONTENDERS["keras/tensorflow"]
ALL = [
    trial(NUMPY, 4.0), trial(NUMPY, 3.0, threads=2), trial(KERAS, 12_345.0, cores_of_others=0.5),
    trial(JAX, 2.5, threads=2),
    trial(TORCH, 3.5, cores_of_others=1.0), trial(NUMPY, 1.0, work=SIMPLE, results={"gflops": 210.0}),
]  # fmt: skip


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """The trials of the measurement, filled by a test."""
    given: list[Trial] = []
    monkeypatch.setattr("rnnlab.cli.commands.bench.measure", lambda *_, **__: iter(given))
    return given


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shapes", "X"), "unknown shape 'X' — known: L, M, N, S; or T100xB32xD32xH128"),
        (("--shapes", "M,,S"), "unknown shape '' — known: L, M, N, S; or T100xB32xD32xH128"),
        (("--cells", "cary"), "unknown cell 'cary' — did you mean 'carry'?"),
        *(
            (
                ("--threads", given),
                f"--threads: got '{bad}', expected 1 to 2, as many as this process is allotted — as in --threads 1,2",
            )
            for given, bad in (("0", "0"), ("1,x", "x"), ("3", "3"))
        ),
        (("--against", "torhc"), "--against: unknown library 'torhc' — did you mean 'torch'?"),
        (
            ("--device", "gpu", "--against", "jax"),
            "--against: jax is measured on the CPU only — with --device gpu: torch, or none",
        ),
        (("--set", "seed=1"), "--set: there is no CONFIG to override — name a config first"),
        (
            ("x.yaml", "--shapes", "M"),
            "CONFIG already defines the shape and the cell — leave out CONFIG, or --shapes and --cells",
        ),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_impossible_requests(
    here: Path, monkeypatch: pytest.MonkeyPatch, measured: list[Trial], arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("rnnlab.cli.commands.bench.allotted_cpus", lambda: 2)
    monkeypatch.setattr("rnnlab.cli.commands.bench.require", lambda *_: None)  # a GPU
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("bench", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == f"rnnlab: error[E_USAGE]: {message}\n"
    assert [entry.name for entry in here.iterdir()] == ["x.yaml"]


def test_a_shape_too_large_for_the_machine(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.cli.commands.bench.memory_available", lambda: 2**30)
    result = rnnlab("bench", "--shapes", "S,T1000xB1000xD1xH100", "--cells", "simple", "--against", "none")
    assert (result.code, result.stdout) == (5, "")
    # 8 bytes · 1,000 · 1,000 · (2 + 12 · 100)
    assert "T1000 B1000 D1 H100, simple: needs about 8.96 GiB of memory, and 1 GiB are available" in result.stderr


def test_no_gpu(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.bench.devices._DEV", here)
    result = rnnlab("bench", "--device", "gpu")
    assert (result.code, result.stdout) == (5, "")
    assert "--device: there is no NVIDIA GPU" in result.stderr
    (here / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    result = rnnlab("bench", "--device", "gpu")
    assert (result.code, result.stdout) == (5, "")
    assert "the variable CUDA_VISIBLE_DEVICES hides all GPUs — unset it, or" in result.stderr


def test_what_is_measured_on_a_gpu(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def note(entered: Any, *, threads: list[int], rounds: int, device: str) -> Iterator[Trial]:
        asked.append(({work.cell.type: [*map(str, found)] for work, found in entered.items()}, threads, device))
        return iter([trial(NUMPY, 1.0)])

    monkeypatch.setattr("rnnlab.bench.devices._DEV", here)
    monkeypatch.setattr("rnnlab.bench.contenders.is_installed", lambda _: True)
    monkeypatch.setattr("rnnlab.cli.commands.bench.measure", note)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (here / "nvidia0").touch()
    assert rnnlab("bench", "--device", "gpu", "--shapes", "M").code == 0
    own = ["keras/jax", "keras/tensorflow", "keras/torch"]
    layers = {"gru": ["torch_gru", "torch_loop"], "lstm": ["torch_loop", "torch_lstm"]}
    layers |= {"simple": ["torch_loop", "torch_rnn"]}
    assert asked == [({cell: [*own, *found] for cell, found in layers.items()}, [1], "gpu")]


def test_the_grid_and_the_config(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def note(entered: Any, *, threads: list[int], rounds: int, device: str) -> Iterator[Trial]:
        assert device == "cpu"
        asked.append(([str(work) for work in entered], threads, rounds))
        return iter([trial(NUMPY, 1.0)])

    monkeypatch.setattr("rnnlab.cli.commands.bench.measure", note)
    monkeypatch.setattr("rnnlab.cli.commands.bench.allotted_cpus", lambda: 1)
    (here / "x.yaml").write_text(TINY)
    assert rnnlab("bench").code == 0
    assert (
        rnnlab("bench", "--shapes", "T5xB4xD2xH3,S,S", "--cells", "carry", "--rounds", "5", "--threads", "1").code == 0
    )
    assert rnnlab("bench", "x.yaml", "--set", "cell.layers=2").code == 0
    sizes = ("T120 B64 D14 H16", "T50 B64 D16 H32", "T100 B32 D32 H128", "T100 B128 D64 H256")
    assert asked == [
        ([f"{size}, {cell}" for size in sizes for cell in ("gru", "lstm", "simple")], [1], 3),
        (["T5 B4 D2 H3, carry", "T50 B64 D16 H32, carry"], [1], 5),
        (["T10 B4 D2 H4 2 layers, simple"], [1], 3),
    ]


def test_the_tables(measured: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table and sentence, at a width where nothing is folded."""
    measured += ALL
    monkeypatch.setenv("COLUMNS", "120")
    result = rnnlab("bench", "--against", "none", "--quiet")
    assert (result.code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.replace("×", "x").splitlines() if line.strip("─-")]
    assert lines == [
        "T100 B32 D32 H128, carry: 1,783 million operations per step",
        "contender ms min p90 times limit first s MiB marks",
        "keras/jax x2 2.50 2.25 2.75 1.00 178% 0.50 100",
        "numpy x2 3.00 2.70 3.30 1.20 149% 0.50 100",
        "torch_loop x1 3.50 3.15 3.85 1.40 243% 0.50 100 loaded",
        "numpy x1 4.00 3.60 4.40 1.60 212% 0.50 100",
        "keras/tensorflow x1 12,345 11,110 13,580 4,938 0% 0.50 100 loaded",
        "T100 B32 D32 H128, simple: 367 million operations per step",
        "contender ms min p90 times limit first s MiB",
        "numpy x1 1.00 0.900 1.10 1.00 175% 0.50 100",
        "limit x1: the fastest matrix product in GFLOP/s, numpy 210, keras/tensorflow 200, torch_loop 200",
        "limit x2: the fastest matrix product in GFLOP/s, numpy 400, keras/jax 400",
        "loaded: other programs kept more than 0.2 processors busy; the result is not reliable",
        "T100 B32 D32 H128, carry: NumPy with 1 thread is slower than torch_loop (1.14 times as fast)",
        "T100 B32 D32 H128, carry: NumPy with 2 threads is slower than keras/jax (1.20 times as fast)",
        "for T100 B32 D32 H128, carry: use backend keras, engine jax, with 2 threads "
        "(2.50 ms per step; next numpy 3.00 ms; best other library torch_loop with 1 thread 3.50 ms)",
        "for T100 B32 D32 H128, simple: use backend numpy with 1 thread (1.00 ms per step)",
    ]


def test_markdown_names_the_machine(measured: list[Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    measured += ALL
    cpu = Cpu(model="Abacus", logical_cores=8, affinity=[0, 1])
    monkeypatch.setattr("rnnlab.cli.render.bench.describe_cpu", lambda: cpu)
    monkeypatch.setattr("rnnlab.cli.render.bench.allotted_cpus", lambda: 2)
    monkeypatch.setattr("platform.python_version", lambda: "3.11.7")
    result = rnnlab("bench", "--format", "markdown", "--rounds", "4")
    assert result.code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Abacus, 2 of 8 cores; Python 3.11.7, numpy 2.4; float32, 4 rounds."
    assert "| keras/jax ×2 | 2.50 | 2.25 | 2.75 | 1.00 | 178% | 0.50 | 100 |  |" in lines
    assert lines[-1].startswith("- for T100 B32 D32 H128, simple: use backend numpy with 1 thread")


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        (
            trial(JAX, 1.0, difference=0.5, differs="gradient of layers.0.Uf"),
            4,
            "error[E_DATA]: keras/jax, T100 B32 D32 H128, carry: "
            "the gradient of layers.0.Uf is off by 5.0e-01, expected at most 1e-04",
        ),
        (failed(TORCH), 5, "error[E_ENVIRONMENT]: torch_loop, T100 B32 D32 H128, carry: killed by SIGKILL"),
    ],
    ids=["wrong", "dead"],
)
def test_the_error_is_the_first_wrong_or_failed_contender(
    measured: list[Trial], bad: Trial, code: int, message: str
) -> None:
    measured += [trial(NUMPY, 4.0), bad]
    result = rnnlab("bench", "--quiet")
    assert (result.code, result.stderr) == (code, f"rnnlab: {message}\n")
    assert f"{CARRY}: {bad.contender} x1: " in result.stdout.replace("×", "x")
    assert result.stdout.splitlines()[-1].startswith(f"for {CARRY}: use backend numpy with 1 thread (4.00 ms per step")


@pytest.mark.peers
def test_a_real_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our NumPy backend beside PyTorch; Keras's engines take longer to start than all else here."""
    pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    monkeypatch.setattr("rnnlab.bench.contenders.is_installed", lambda name: name in {"numpy", "torch"})
    result = rnnlab("bench", "--shapes", "T5xB4xD2xH3", "--cells", "carry", "--threads", "1", "--rounds", "1", "--json")
    assert result.code == 0
    printed = require_schema("bench", result.stdout)
    (work,) = printed["works"]
    assert {row["contender"]: row["marks"] for row in work["rows"]}.keys() == {"numpy", "torch_loop"}
    assert {one["contender"]: one["difference"] is None for one in work["trials"]} == {
        "numpy": False,
        "torch_loop": False,
    }
    assert max(one["difference"] or 0 for one in work["trials"]) < 1e-5
    assert work["operations"] == 5 * 4 * (30 * 9 + 16 * 6)
    assert printed["limits"]["1"]["gflops"] == max(one["gflops"] for one in work["trials"])
    assert (printed["complete"], printed["rounds"]) == (True, 1)
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [f"{n}/2 T5 B4 D2 H3, carry" for n in (1, 2)]


def test_ctrl_c_shows_the_results_so_far() -> None:
    arguments = ("--shapes", "T5xB4xD2xH3", "--cells", "simple", "--against", "none", "--rounds", "1000", "--json")
    with start("bench", *arguments) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    printed = json.loads(out)
    assert printed["complete"] is False
    assert printed["works"][0]["trials"][0]["contender"] == "numpy"
    assert first.startswith("1/")
    assert err.splitlines()[-1].startswith("stopped after ")
