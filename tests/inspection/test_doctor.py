"""The examination: clean after every ending, and each kind of damage is named at its file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import DivergedError
from rnnlab.inspection.doctor import Report, examine
from rnnlab.storage import RunFolder
from rnnlab.storage.checkpoint import Checkpoints
from tests.training.resuming import begin, damage, killed
from tests.training.test_endings import EXPLODES

Make = Callable[..., Experiment]


def found(run: RunFolder) -> tuple[str, dict[str, str]]:
    """The state, and what is bad, by file; the run is not touched."""
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.rglob("*") if path.is_file()}
    report = examine(run)
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.rglob("*") if path.is_file()}
    assert after == before
    bad = {finding.file: finding.detail for finding in report.findings if finding.result == "bad"}
    assert report.is_healthy == (not bad)
    return report.state, bad


def note(report: Report, file: str) -> str:
    (detail,) = [finding.detail for finding in report.findings if (finding.file, finding.result) == (file, "note")]
    return detail


def test_every_ending_is_healthy(experiment: Make, tmp_path: Path) -> None:
    assert found(begin(experiment(), tmp_path / "whole")) == ("completed", {})
    assert found(begin(experiment(), tmp_path / "cut", stop_at=3)) == ("interrupted", {})
    assert found(killed(experiment(), tmp_path / "killed", 3)) == ("stale", {})
    with pytest.raises(DivergedError):
        begin(experiment(*EXPLODES), tmp_path / "diverged")
    assert found(RunFolder(tmp_path / "diverged")) == ("diverged", {})


def test_every_file_is_named(experiment: Make, tmp_path: Path) -> None:
    report = examine(begin(experiment(), tmp_path / "run"))
    lines = report.run.path.joinpath("metrics.jsonl").read_bytes().splitlines(keepends=True)
    details = {finding.file: finding.detail for finding in report.findings}
    assert list(details) == [
        "status.json", "config.yaml", "provenance.json", "resolved.yaml", "metrics.jsonl", "log.txt", "checkpoints",
        "checkpoints/step-0000000005-0001.safetensors", "checkpoints/step-0000000000-0001.safetensors",
        "summary.json", "weights/best.safetensors", "weights/last.safetensors", "the lock",
    ]  # fmt: skip
    assert {finding.result for finding in report.findings} == {"good"}
    assert details["metrics.jsonl"] == "4 records, steps in order"
    whole = f"whole, of attempt 1; {sum(map(len, lines))} bytes of metrics belong to it"
    assert details["checkpoints/step-0000000005-0001.safetensors"] == whole
    assert f"; {len(lines[0])} bytes" in details["checkpoints/step-0000000000-0001.safetensors"]
    assert details["weights/best.safetensors"] == f"whole, of step {report.run.read_summary().best.step}"


CHANGED = "was changed since it was written: its content does not match its SHA-256"


@pytest.mark.parametrize(
    "file",
    [
        "weights/best.safetensors", "weights/last.safetensors", "checkpoints/step-0000000005-0001.safetensors",
        "checkpoints/step-0000000000-0001.safetensors", "summary.json", "provenance.json", "status.json",
    ],
)  # fmt: skip
def test_a_changed_file(experiment: Make, tmp_path: Path, file: str) -> None:
    run = begin(experiment(), tmp_path / "run")
    is_json = file.endswith(".json")
    if is_json:
        (run.path / file).write_bytes((run.path / file).read_bytes() + b"}")
    else:
        damage(run.path / file)
    bad = found(run)[1]
    assert bad[file] == ("is not valid JSON: Extra data (column 1)" if is_json else CHANGED)
    if file == "provenance.json":
        assert bad.pop("resolved.yaml") == "cannot be compared with provenance.json, which is damaged"
    assert set(bad) == {file}


@pytest.mark.parametrize(
    "file",
    [
        "config.yaml", "resolved.yaml", "provenance.json", "metrics.jsonl", "log.txt", "summary.json",
        "weights/best.safetensors", "weights/last.safetensors",
    ],
)  # fmt: skip
@pytest.mark.parametrize("planted", [False, True], ids=["missing", "link"])
def test_a_file_that_is_missing_or_a_link(experiment: Make, tmp_path: Path, file: str, planted: bool) -> None:
    run = begin(experiment(), tmp_path / "run")
    (run.path / file).rename(tmp_path / "victim")
    if planted:
        (run.path / file).symlink_to(tmp_path / "victim")
    _, bad = found(run)
    assert file in bad
    assert "missing" in bad[file] or "is not a plain file" in bad[file] or "no plain file" in bad[file]


def test_metrics_at_odds_with_themselves_or_the_checkpoint(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run")
    path = run.path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    assert found(run)[1] == {"metrics.jsonl": "record 5 is of step 2, after one of step 5"}
    path.write_bytes(b"".join(lines[:2]))
    size = sum(map(len, lines))
    shorter = f"has {len(b''.join(lines[:2]))} bytes, expected at least {size}"
    assert found(run)[1].pop("checkpoints/step-0000000005-0001.safetensors") == shorter
    assert found(run)[1]["metrics.jsonl"] == "ends at step 2, but the run ended at step 5"
    path.write_bytes(b"".join([lines[0], lines[1][:40], b"\n", *lines[2:]]))
    assert "its checksum is missing" in found(run)[1]["metrics.jsonl"]


def test_a_config_that_was_edited(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run")
    run.write_config(b"task: parity\n")
    detail = "was changed since the run began; what is trained is in resolved.yaml"
    assert found(run) == ("completed", {"config.yaml": detail})


def test_files_at_odds_with_the_status(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run")
    run.write_status(run.read_status().changed(step=4))
    sequences = run.read_summary().sequences
    assert found(run)[1] == {
        "status.json": "is of step 4, with a checkpoint of step 5",
        "metrics.jsonl": "reaches step 5, but the run ended at step 4",
        "weights/last.safetensors": "are of step 5, but the run ended at step 4",
        "summary.json": "stopped is budget, the other files give nothing at step 4; "
        f"steps is 5, the other files give 4; sequences is {sequences}, the other files give {4 * sequences // 5}",
    }
    run.write_resolved({**run.read_resolved(), "seed": 1}, run.read_status().id)
    assert "provenance.json has the hash of another config" in found(run)[1]["resolved.yaml"]
    for step in (0, 5):
        run.checkpoints().path(step).unlink()
    assert found(run)[1]["checkpoints"] == "there is none, though the newest was saved at step 5"


def test_what_a_kill_leaves_is_noted(experiment: Make, tmp_path: Path) -> None:
    run = killed(experiment(), tmp_path / "run", 3)
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step":4,')
    (run.path / "weights" / ".last.safetensors.0123456789abcdef.tmp").write_bytes(b"")
    (run.path / "notes.txt").write_bytes(b"")
    assert found(run) == ("stale", {})
    report = examine(run)
    assert note(report, "metrics.jsonl") == "ends in half a record, as a kill can leave it; it is not counted"
    assert note(report, "weights/.last.safetensors.0123456789abcdef.tmp").startswith("an unfinished write")
    assert note(report, "notes.txt") == "not a file of rnnlab"
    assert json.loads((run.path / "status.json").read_bytes())["state"] == "running"


def test_weights_of_an_interrupted_run_are_missed(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run")
    interrupted = run.read_status().changed(state="interrupted", exit_code=75)
    run.write_status(interrupted)
    (run.path / "weights/last.safetensors").unlink()
    assert found(run)[1]["weights/last.safetensors"] == "is missing"


def test_a_checkpoint_that_a_live_training_has_replaced_is_not_missed(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(experiment(), tmp_path / "run")
    newest, older = run.checkpoints().steps()
    listed = Checkpoints.steps

    def steps(self: Checkpoints) -> list[int]:
        try:
            return listed(self)
        finally:
            self.path(older).unlink(missing_ok=True)

    monkeypatch.setattr(Checkpoints, "steps", steps)
    with run.locked():
        report = examine(run)
    names = [finding.file for finding in report.findings if finding.file.startswith("checkpoints/")]
    assert names == [f"checkpoints/{run.checkpoints().path(newest).name}"]
