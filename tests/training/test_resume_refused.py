"""What is rejected on resuming, and leaves every byte as it was."""

from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import DivergedError, RnnlabError, UsageError, VerificationError
from rnnlab.storage import RunFolder
from rnnlab.storage.sealed_yaml import sealed
from rnnlab.training.resume import resume
from tests.training.resuming import Make, begin, damage, resumed, to_the_end
from tests.training.test_endings import EXPLODES

pytestmark = pytest.mark.usefixtures("single_updates")


def refusal(kind: type[RnnlabError], run: RunFolder, **more: Any) -> str:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(kind) as refused:
        to_the_end(resume(run, argv=[], **more))
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    return str(refused.value).removeprefix(f"{run.path}")


def test_without_a_good_checkpoint_nothing_begins_anew(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "cut", stop_at=3)
    for step in run.checkpoints().steps():
        damage(run.checkpoints().path(step))
    changed = "was changed since it was written: its content does not match its SHA-256"
    for _ in range(2):
        assert refusal(VerificationError, run) == (
            f"/checkpoints: no checkpoint can be used: step-0000000003-0001.safetensors {changed}; "
            f"step-0000000000-0001.safetensors {changed} — bring a copy back, or start a new run from resolved.yaml"
        )
    for step in run.checkpoints().steps():
        run.checkpoints().path(step).unlink()
    assert "there is no checkpoint, though the run got to step 3" in refusal(VerificationError, run)


def test_metrics_that_are_damaged_or_too_short(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "cut", stop_at=4)
    path = run.path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # the record of step 4; the checkpoint of step 0 has no need of it
    assert resumed(run).read_summary().steps == 5
    assert [record["step"] for record in run.read_metrics().records] == [0, 2, 4, 5]
    run = begin(experiment(), tmp_path / "other", stop_at=4)
    path = run.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b"sequences", b"sequencez", 1))
    reported = refusal(VerificationError, run)
    assert reported.startswith(
        "/checkpoints: no checkpoint can be used: metrics.jsonl:1 the record is damaged: its checksum"
    )
    assert reported.count("metrics.jsonl") == 1


@pytest.mark.parametrize("override", ["seed=1", "training.batch_size=3", "training={steps: 9}", "name=y"])
def test_only_the_budget_and_the_backend_can_be_changed(experiment: Make, tmp_path: Path, override: str) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    keys = "training.steps, training.max_seconds, backend, engine"
    problem = f"a run is resumed with its own config; only {keys} can be changed"
    reported = refusal(UsageError, run, overrides=[override])
    assert reported.startswith(f"--set {override}: {problem} — ")


def test_fewer_steps_than_are_done(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    reported = refusal(UsageError, run, overrides=["training.steps=2"])
    assert (
        reported == "training.steps=2 is fewer than the 3 steps done — give a greater number, or leave the option out"
    )


def test_a_config_that_was_edited(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    run.write_resolved({**run.read_resolved(), "seed": 1}, run.read_status().id)
    reported = refusal(VerificationError, run)
    problem = "was changed since the run began: provenance.json has the hash of another config"
    assert reported.startswith(f"/resolved.yaml: {problem}")
    (run.path / "resolved.yaml").write_bytes(sealed("seed: [\n", run.read_status().id))
    assert refusal(VerificationError, run).startswith("/resolved.yaml: is damaged: ")


def test_a_checkpoint_of_another_run_or_network(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    same = begin(experiment(), tmp_path / "same", stop_at=3)
    for step in (0, 3):
        run.checkpoints().path(step).write_bytes(same.checkpoints().path(step).read_bytes())
    assert "step-0000000003-0001.safetensors is of another run; " in refusal(VerificationError, run)


def test_a_diverged_run_would_only_diverge_again(experiment: Make, tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as first:
        begin(experiment(*EXPLODES), tmp_path / "run")
    assert first.value.problem in refusal(DivergedError, RunFolder(tmp_path / "run"))
