import sys
from pathlib import Path

import pytest

import rnnlab as package
from rnnlab.cli.commands import plot
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.figure import Figure
from rnnlab.inspection.diagnoses import diagnoses
from rnnlab.storage import RunFolder
from tests.cli.program import TINY, rnnlab

pytest.importorskip("matplotlib", reason="needs the extra `plots`")
KINDS = ("curves", *(name for name, one in diagnoses().items() if one.title))
CONFIG = {"name": "tiny", "task": "adding", "shape": {"timesteps": 8}, "training": {"steps": 2, "batch_size": 4}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    for seed in range(2):
        package.train(CONFIG, [f"seed={seed}", f"name=seed{seed}", "training.record=gradient"], runs=root)
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_to_the_run(runs: Path, kind: str) -> None:
    done = rnnlab("plot", "seed0", "--kind", kind, "--runs", runs)
    assert (done.code, done.stderr) == (0, "")
    path = Path(done.stdout.strip())
    assert (path.name, path.parent.name) == (f"{kind}.png", "plots")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert rnnlab("doctor", "seed0", "--runs", runs).code == 0


def test_several_runs_go_where_one_says(runs: Path, tmp_path: Path) -> None:
    for ending, start in (("pdf", b"%PDF"), ("SVG", b"<?xml"), ("png", b"\x89PNG")):
        done = rnnlab("plot", runs, "--out", tmp_path / f"x.{ending}")
        assert (done.code, done.stdout) == (0, f"{tmp_path / f'x.{ending}'}\n")
        assert (tmp_path / f"x.{ending}").read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--out", "x.jpg"), 2, "--out: x.jpg does not end in .png, .pdf or .svg"),
        (("--out", "nowhere/x.png"), 2, "--out: there is no folder nowhere"),
        (("--kind", "cloud"), 2, "--kind: 'cloud' is not a kind of figure"),
        (("--kind", "success"), 2, "nothing to draw as 'success' for these runs"),
        (("--metric", "lss"), 2, "no run recorded the metric 'lss' — did you mean 'loss'"),
    ],
)
def test_what_cannot_be(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = rnnlab("plot", "seed1", "--runs", runs, *arguments)
    assert (done.code, done.stdout, list(tmp_path.iterdir())) == (code, "", [])
    assert message in done.stderr


def test_a_missing_extra(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = rnnlab("plot", "seed1", "--runs", runs)
    assert done.code == 5
    assert "pip install 'rnnlab[plots]'" in done.stderr


def test_a_gradient_that_was_not_recorded(tmp_path: Path) -> None:
    run = package.train(CONFIG, runs=tmp_path)
    done = rnnlab("plot", run.path, "--kind", "gradient-history")
    assert (done.code, done.stdout, (run.path / "plots").exists()) == (2, "", False)
    assert "training: {record: gradient}" in done.stderr


def test_damaged_weights_are_an_error(tmp_path: Path) -> None:
    run = package.train(CONFIG, runs=tmp_path)
    for path in (run.path / "weights").iterdir():
        path.write_bytes(b"?")
    done = rnnlab("plot", run.path, "--kind", "gates")
    assert (done.code, done.stdout) == (4, "")
    assert rnnlab("plot", run.path).code == 0


@pytest.mark.parametrize(("kind", "panels"), [("states", 2), ("sample", 4)])
def test_each_of_two_runs_has_its_panels(runs: Path, monkeypatch: pytest.MonkeyPatch, kind: str, panels: int) -> None:
    seen: list[Figure] = []
    monkeypatch.setattr(plot, "picture", lambda figure, _: seen.append(figure) or b"")
    assert rnnlab("plot", "seed0", "seed1", "--runs", runs, "--kind", kind, "--out", runs / "x.png").code == 0
    assert [len(figure.panels) for figure in seen] == [panels]


def test_without_best_weights_both_commands_take_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = package.train(CONFIG, runs=tmp_path)
    (run.path / "weights" / "best.safetensors").unlink()
    seen: list[Figure] = []
    monkeypatch.setattr(plot, "picture", lambda figure, _: seen.append(figure) or b"")
    assert rnnlab("plot", run.path, "--kind", "gates", "--out", tmp_path / "x.png").code == 0
    assert [figure.note for figure in seen] == ["last weights (step 2)"]
    assert "last weights (step 2)" in rnnlab("diagnose", run.path, "--only", "gates").stdout
    assert rnnlab("diagnose", run.path, "--weights", "best").code == 4


def test_a_training_ends_with_a_figure(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(TINY)
    done = rnnlab("train", tmp_path / "x.yaml", "--into", tmp_path / "job", "--quiet", "--plots")
    assert (done.code, done.stderr) == (0, "")
    assert (tmp_path / "job" / "plots" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert rnnlab("doctor", tmp_path / "job").code == 0
    without = rnnlab("train", tmp_path / "x.yaml", "--into", tmp_path / "other", "--quiet", "--no-plots")
    assert (without.code, (tmp_path / "other" / "plots").exists()) == (0, False)


def test_curves_that_cannot_be_written_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> Path:
        raise EnvironmentFault("no space left", where="plots")

    monkeypatch.setattr(RunFolder, "write_plot", refused)
    (tmp_path / "x.yaml").write_text(TINY)
    done = rnnlab("train", tmp_path / "x.yaml", "--into", tmp_path / "job", "--quiet", "--plots")
    assert (done.code, done.stderr) == (0, "rnnlab: warning: the curves were not drawn: plots: no space left\n")
