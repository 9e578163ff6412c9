import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import rnnlab as package
from tests.cli.program import rnnlab
from tests.small import needs_pandas

pytest.importorskip("jinja2", reason="needs the extra `plots`")
TINY = {"name": "tiny", "task": "adding", "shape": {"timesteps": 8}, "training": {"steps": 2, "batch_size": 4}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reported")
    for seed in range(2):
        package.train(TINY, [f"seed={seed}"], runs=root)
    return root


def test_a_page_is_written_and_replaced(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    for title in ("one", "two"):
        done = rnnlab("report", runs, "--out", out, "--title", title)
        assert (done.code, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{out}: 2 runs, ")
        text = out.read_text(encoding="utf-8")
        assert f"<title>{title}</title>" in text
        assert '"gradient"' in text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_sweep_is_repeated_by_its_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are run as they stand on the page."""
    (tmp_path / "two.yaml").write_text("task: adding\nshape: {timesteps: 8}\ntraining: {steps: 2}\nsweep: {seeds: 2}\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's here").mkdir()
    assert rnnlab("sweep", "two.yaml", "--quiet", "--workers", "1", "--into", "it's here/two").code == 0
    assert rnnlab("report", "it's here/two", "--out", "page.html", "--no-diagnose").code == 0
    shown = re.search(r"<pre[^>]* class=\"sweeps\">(.*?)</pre>", (tmp_path / "page.html").read_text(), re.DOTALL)
    assert shown
    script = 'rnnlab() { python -m rnnlab "$@"; }\n' + unescape(shown[1])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "RNNLAB_PLOTS": "0"}
    environment["RNNLAB_RUNS"] = "runs"
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, "0 of 2 runs solved adding@urnn (T=8)" in done.stdout) == (0, True)
    again = sorted((tmp_path / "runs").glob("*-seed?-*"))
    trained = sorted((tmp_path / "it's here" / "two" / "trials").iterdir())
    assert len(again) == len(trained) == 2
    for one, other in zip(again, trained, strict=True):
        for name, array in package.open_run(one).weights("last").items():
            np.testing.assert_array_equal(array, package.open_run(other).weights("last")[name])


def configs(page: Path) -> dict[str, str]:
    found = re.findall(r'<pre[^>]* class="config" data-name="([^"]*)">(.*?)</pre>', page.read_text("utf-8"), re.DOTALL)
    return {unescape(name): unescape(text) for name, text in found}


def test_a_run_is_repeated_from_the_page_alone(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the page is saved elsewhere, checked and trained; no path of this machine is on it."""
    assert rnnlab("report", runs, "--out", tmp_path / "page.html", "--title", "x").code == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert str(runs) not in page
    assert str(Path.cwd()) not in page
    found = configs(tmp_path / "page.html")
    assert set(found) == {f"{path.name}.yaml" for path in runs.glob("2*")}
    monkeypatch.chdir(tmp_path)
    for name, text in found.items():
        Path(name).write_text(text, encoding="utf-8")
        assert f"rnnlab train {name}" in page
        assert rnnlab("check", name).code == 0
        assert rnnlab("train", name, "--quiet", "--into", f"again-{name}").code == 0
        again, first = package.open_run(f"again-{name}"), package.open_run(runs / name.removesuffix(".yaml"))
        for parameter, array in first.weights("last").items():
            np.testing.assert_array_equal(again.weights("last")[parameter], array)


@needs_pandas
def test_a_csv_is_named_and_must_be_beside_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "series.csv").write_text("x\n" + "\n".join(str(n % 7) for n in range(100)))
    config = {"task": {"type": "forecast", "csv": str(tmp_path / "series.csv")}, "shape": {"timesteps": 5}}
    run = package.train({**config, "training": {"steps": 1, "batch_size": 2}}, runs=tmp_path / "runs")
    assert rnnlab("report", run.path, "--out", tmp_path / "page.html", "--no-diagnose").code == 0
    assert str(tmp_path) not in (tmp_path / "page.html").read_text("utf-8")
    ((name, text),) = configs(tmp_path / "page.html").items()
    assert str(run.config["task.csv.sha256"]) in text
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text, encoding="utf-8")
    assert rnnlab("check", name).code == 0


def test_a_file_that_is_not_a_report_stays(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis.html"
    out.write_text("years of work")
    done = rnnlab("report", runs, "--out", out)
    assert (done.code, out.read_text()) == (2, "years of work")
    assert "is not a report of rnnlab — choose another place, or add --force" in done.stderr
    assert rnnlab("report", runs, "--out", out, "--force", "--no-diagnose").code == 0
    assert '"gradient"' not in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(("out", "message"), [("nowhere/x.html", "there is no folder"), (".", "is not a report")])
def test_a_place_that_cannot_be(runs: Path, tmp_path: Path, out: str, message: str) -> None:
    done = rnnlab("report", runs, "--out", tmp_path / out)
    assert (done.code, done.stdout) == (2, "")
    assert message in done.stderr


def test_weights_that_are_gone_cost_a_chart_only(tmp_path: Path) -> None:
    run = package.train(TINY, runs=tmp_path)
    for path in (run.path / "weights").iterdir():
        path.write_bytes(b"?")
    done = rnnlab("report", run.path, "--out", tmp_path / "page.html")
    assert done.code == 0
    assert "was not diagnosed" in done.stderr


def test_a_missing_extra(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = rnnlab("report", runs, "--out", tmp_path / "page.html")
    assert (done.code, list(tmp_path.iterdir())) == (5, [])
    assert "pip install 'rnnlab[plots]'" in done.stderr
