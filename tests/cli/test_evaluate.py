"""`rnnlab evaluate`: a trained run scored again, at other lengths too, and nothing of its record touched."""

import json
import shutil
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from tests.cli.jobs import everything
from tests.cli.program import TINY, rnnlab

RAGGED = TINY.replace("[5, 10]", "[50, 100]")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained on lengths of 50 to 100 steps."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "x.yaml").write_text(RAGGED)
    assert rnnlab("train", folder / "x.yaml", "--runs", folder / "runs", "--quiet").code == 0
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture
def run(here: Path, original: Path) -> RunFolder:
    """A copy of it, alone in `runs`."""
    shutil.copytree(original, here / "runs" / original.name)
    return RunFolder(here / "runs" / original.name)


@pytest.mark.parametrize("timesteps", [10, 100, 1000])
def test_at_other_lengths_than_trained(run: RunFolder, timesteps: int) -> None:
    before = everything(run.path)
    result = rnnlab("evaluate", "latest", "--set", f"shape.timesteps={timesteps}", "--json")
    shown = json.loads(result.stdout)
    assert (result.code, result.stderr) == (0, "")
    assert (shown["timesteps"], shown["sequences"], shown["weights"]) == ([timesteps, timesteps], 20, "best")
    assert (shown["state"], shown["task"], shown["solved"]) == ("completed", "adding@urnn", False)
    assert shown["baseline"] == pytest.approx(1 / 6 - 1 / 6 / timesteps)  # the last step is marked in 2 of T sequences
    assert shown["loss"] == shown["metrics"]["loss"] > 0
    after = everything(run.path)
    assert after.keys() - before.keys() == {"evaluations.jsonl"}
    assert {name: after[name] for name in before} == before
    (record,) = run.read_evaluations().records
    assert (record["shortest"], record["longest"], record["loss"]) == (timesteps, timesteps, shown["loss"])


def test_at_the_lengths_it_was_trained_on_the_best_loss_comes_back(run: RunFolder) -> None:
    shown = json.loads(rnnlab("evaluate", "x", "--on", "validation", "--json").stdout)
    assert shown["loss"] == run.read_summary().best.metrics["loss"]
    assert set(shown) == {
        "format", "run", "path", "state", "steps", "weights",
        "task", "timesteps", "stream", "sequences", "loss", "baseline", "solved", "metrics",
        "seconds",
    }  # fmt: skip


def test_the_score_as_a_table(run: RunFolder) -> None:
    result = rnnlab("evaluate", "latest", "--set", "shape.timesteps=30", "--sequences", "1000", "--weights", "last")
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    loss = run.read_evaluations().records[0]["loss"]
    assert lines[0] == f"{run.name}: last weights (step 20) on 1,000 test sequences of adding@urnn, T=30"
    assert [line.split() for line in lines if line.startswith("loss")] == [["loss", f"{loss:.4g}", "0.1611"]]
    assert lines[-1] == "does not meet the success rule"


def test_the_network_is_not_to_be_changed(run: RunFolder) -> None:
    before = everything(run.path)
    result = rnnlab("evaluate", "latest", "--set", "shape={}", "--set", "task=copy_memory")
    assert (result.code, result.stdout) == (2, "")
    assert "--set would change the network: input_features from 2 to " in result.stderr
    assert everything(run.path) == before
