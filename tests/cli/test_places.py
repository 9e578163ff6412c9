"""Where things are: the home folder, a project that has moved, runs behind links."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.program import Result, rnnlab
from tests.small import needs_pandas

SERIES = "x,y\n" + "".join(f"{n % 7},{n % 5 + n % 3}\n" for n in range(120))
CONFIG = """\
task: {type: forecast, csv: PATH, target: y}
shape: {timesteps: 6}
cell: {type: carry, units: 3}
training: {steps: 4, batch_size: 4, evaluate_every: 2}
evaluation: {sequences: 10}
"""
ORDINARY = "task: parity\nshape: {timesteps: 4}\ntraining: {steps: 2, batch_size: 4}\nevaluation: {sequences: 8}\n"


@pytest.fixture
def home(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RNNLAB_RUNS", raising=False)
    monkeypatch.setenv("HOME", str(here / "home"))
    (here / "home" / "data").mkdir(parents=True)
    return here / "home"


def done(result: Result) -> str:
    assert result.code == 0, result.stderr
    return result.stdout


@needs_pandas
def test_the_home_folder_in_a_config(here: Path, home: Path) -> None:
    (home / "data" / "x.csv").write_text(SERIES)
    (home / "base.yaml").write_text(CONFIG.replace("PATH", "~/data/x.csv"))
    (here / "x.yaml").write_text("extends: ~/base.yaml\n")
    done(rnnlab("train", "x.yaml", "-q", "--into", "run"))
    assert "path: ~/data/x.csv" in (here / "run" / "resolved.yaml").read_text()
    assert f"path: {home}/data/x.csv" in done(rnnlab("check", "run/resolved.yaml"))


def test_the_home_folder_on_the_command_line(here: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves `~` as it is behind `=`; and no shell reads the variables of cron, systemd and Docker."""
    (home / "x.yaml").write_text(ORDINARY)
    done(rnnlab("train", "~/x.yaml", "-q", "--runs=~/runs"))
    done(rnnlab("train", "~/x.yaml", "-q", "--into=~/one"))
    monkeypatch.setenv("RNNLAB_RUNS", "~/others")
    done(rnnlab("train", "~/x.yaml", "-q"))
    done(rnnlab("export", "~/one", "--format=npz", "--out=~/a.npz"))
    done(rnnlab("report", "~/one", "--no-diagnose", "--out=~/a.html"))
    done(rnnlab("compare", "~/one", "latest"))
    assert {path.name for path in home.iterdir()} == {
        "data", "x.yaml", "runs", "one", "others", "a.npz", "a.html",
    }  # fmt: skip
    assert [path.name for path in here.iterdir()] == ["home"]
    result = rnnlab("train", "~/x.yaml", "--runs=~nobody-here/runs")
    assert result.code == 2
    assert "there is no user 'nobody-here' — write ~/… for your home folder" in result.stderr


@pytest.fixture
def project(here: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that was trained in, and then moved as a whole."""
    (here / "A").mkdir()
    (here / "A" / "x.csv").write_text(SERIES)
    (here / "A" / "x.yaml").write_text(CONFIG.replace("PATH", "x.csv"))
    monkeypatch.chdir(here / "A")
    done(rnnlab("train", "x.yaml", "-q"))
    monkeypatch.chdir(here)
    (here / "A").rename(here / "B")
    monkeypatch.chdir(here / "B")
    return here / "B"


NEEDING_NO_DATA = (
    ("export", "latest", "--format", "npz"),
    ("diagnose", "latest", "--only", "spectrum"),
    ("diagnose", "latest"),
    ("doctor", "latest"),
    ("show", "latest"),
    ("list",),
)
NEEDING_DATA = (
    ("evaluate", "latest"),
    ("diagnose", "latest", "--only", "gates"),
    ("train", "-q", "--resume", "latest", "--set", "training.steps=6"),
)


@needs_pandas
def test_a_moved_project_works_as_before(project: Path) -> None:
    (run,) = (project / "runs").iterdir()
    assert "path: ../../x.csv\n" in (run / "resolved.yaml").read_text()
    for command in (*NEEDING_NO_DATA, *NEEDING_DATA):
        done(rnnlab(*command))
    done(rnnlab("train", run / "resolved.yaml", "-q", "--into", "again"))
    first, again = (done(rnnlab("evaluate", one, "--json")) for one in (str(run), "./again"))
    assert '"loss":' in first
    assert [line for line in first.splitlines() if '"loss"' in line] == [
        line for line in again.splitlines() if '"loss"' in line
    ]


@needs_pandas
def test_data_that_are_gone_are_asked_for_only_where_they_are_needed(project: Path) -> None:
    (project / "x.csv").rename(project / "renamed.csv")
    for command in NEEDING_NO_DATA:
        assert "damaged" not in done(rnnlab(*command))
    for command in NEEDING_DATA:
        result = rnnlab(*command)
        assert result.code == 2, result.stderr
        assert (
            f"{project}/x.csv, the data of this run, is not there — bring it back, or give its place" in result.stderr
        )
    for key in ("task.csv", "task.csv.path"):
        done(rnnlab("evaluate", "latest", "--set", f"{key}=renamed.csv"))
    done(rnnlab("train", "-q", "--resume", "latest", "--set", "training.steps=6", "--set", "task.csv=renamed.csv"))
    done(rnnlab("evaluate", "latest"))  # from now on it is known where they are


@needs_pandas
def test_other_data_are_never_taken_for_those_of_the_run(project: Path) -> None:
    other = SERIES.replace("6", "9", 1)
    (project / "x.csv").write_text(other)
    for command in NEEDING_NO_DATA:
        done(rnnlab(*command))
    for command in NEEDING_DATA:
        result = rnnlab(*command)
        assert result.code == 4, result.stderr
        assert f"{project}/x.csv: has another content than the data of this run" in result.stderr
    (project / "other.csv").write_text(other)
    resumed = rnnlab("train", "--resume", "latest", "--set", "training.steps=6", "--set", "task.csv=other.csv")
    assert resumed.code == 2
    assert "--set task.csv=other.csv: has another content" in resumed.stderr
    done(rnnlab("evaluate", "latest", "--set", "task.csv=other.csv"))  # to score on other data is no repetition


def test_a_run_behind_a_link_is_listed_shown_and_compared(here: Path, home: Path) -> None:
    (here / "x.yaml").write_text(ORDINARY)
    for seed in ("0", "1"):
        done(rnnlab("train", "x.yaml", "-q", "--set", f"seed={seed}"))
    names = sorted(path.name for path in (here / "runs").iterdir())
    (here / "disk2").mkdir()
    (here / "picked").mkdir()
    shutil.move(here / "runs" / names[0], here / "disk2")
    for folder in ("runs", "picked"):
        (here / folder / names[0]).symlink_to(here / "disk2" / names[0])
    for command in (("list",), ("list", "--json"), ("show", names[0][-6:]), ("list", "--runs", "picked")):
        assert names[0][-6:] in done(rnnlab(*command))
    assert "of 2 runs" in done(rnnlab("compare", "runs"))
    done(rnnlab("report", "picked", "--out", "r.html", "--no-diagnose"))
    done(rnnlab("evaluate", names[0][-6:]))
    done(rnnlab("train", "-q", "--resume", names[0][-6:], "--set", "training.steps=3"))
    assert done(rnnlab("doctor", names[0])).startswith(f"{names[0]}: completed at step 3; healthy")
    twice = rnnlab("compare", f"runs/{names[0]}", "runs", "picked")
    assert (twice.code, "is given 3 times" in twice.stderr) == (2, True)
    (here / "runs" / names[0] / "weights").rename(here / "weights")
    (here / "runs" / names[0] / "weights").symlink_to(here / "weights")
    inside = rnnlab("evaluate", names[0])
    assert (inside.code, "weights: is not a folder of this run (a link, or a file)" in inside.stderr) == (4, True)


def test_a_sweep_behind_a_link(here: Path, home: Path) -> None:
    (here / "s.yaml").write_text(ORDINARY + "sweep: {seeds: 2}\n")
    done(rnnlab("sweep", "s.yaml", "-q"))
    (here / "disk2").mkdir()
    shutil.move(here / "runs" / "s", here / "disk2" / "s")
    (here / "runs" / "s").symlink_to(here / "disk2" / "s")
    assert "2 completed" in done(rnnlab("sweep", "status", "s"))
    done(rnnlab("compare", "s"))
    done(rnnlab("sweep", "s.yaml", "-q"))


@needs_pandas
def test_a_moved_sweep_finds_its_data(here: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "A").mkdir()
    (here / "A" / "x.csv").write_text(SERIES)
    (here / "A" / "s.yaml").write_text(CONFIG.replace("PATH", "x.csv") + "sweep: {seeds: 2}\n")
    monkeypatch.chdir(here / "A")
    done(rnnlab("sweep", "s.yaml", "-q"))
    monkeypatch.chdir(here)
    (here / "A").rename(here / "B")
    monkeypatch.chdir(here / "B")
    shutil.rmtree(next((here / "B" / "runs" / "s" / "trials").glob("0002*")))
    assert "2 completed" in done(rnnlab("sweep", "s.yaml", "-q"))
    assert "2 completed" in done(rnnlab("sweep", "resume", "s", "-q"))
    with np.load(
        here / "B" / (done(rnnlab("export", "runs/s/trials/0001-seed0", "--format", "npz")).split(":")[0])
    ) as w:
        assert "head.W" in w
