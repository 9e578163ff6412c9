"""`train_into`: one command for a folder, whatever was done of it by now."""

from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault, UsageError, VerificationError
from rnnlab.storage import RunFolder
from tests.training.resuming import Make, account, begin


def test_into_refuses_the_run_of_another_config(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    with pytest.raises(UsageError) as refused:
        begin(experiment("seed=1", "training.steps=9"), run.path)
    assert refused.value.problem == (
        "is the run of another config: seed: 0 there, 1 here, training.steps: 5 there, 9 here"
    )
    assert run.read_status().state == "interrupted"


def test_into_takes_another_rhythm_of_saving(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    run = begin(experiment("training.checkpoint={every_steps: 1}", "training.max_seconds=1000"), run.path)
    assert account(run) == account(begin(experiment(), tmp_path / "whole"))


def test_an_engine_that_is_not_used_is_no_difference(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment("engine=jax", "keras.path=loop"), tmp_path / "run", stop_at=2)
    assert "keras" not in str(run.read_resolved())
    run = begin(experiment("engine=torch"), run.path)
    assert account(run) == account(begin(experiment(), tmp_path / "whole"))


@pytest.mark.parametrize("there", ["a file", "a folder"])
def test_into_refuses_a_folder_that_is_no_run(experiment: Make, tmp_path: Path, there: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes").mkdir() if there == "a folder" else (tmp_path / "run" / "notes").write_text("mine")
    with pytest.raises(UsageError, match="is not a run, and not empty: it contains notes"):
        begin(experiment(), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes"]


def test_into_begins_where_a_start_was_cut_short(experiment: Make, tmp_path: Path) -> None:
    """Killed between the making of the folder and the first status, the same command begins again."""
    whole = account(begin(experiment(), tmp_path / "whole"))
    for left in ([], ["config.yaml"], ["config.yaml", "resolved.yaml", "provenance.json", "metrics.jsonl", "log.txt"]):
        folder = tmp_path / str(len(left))
        folder.mkdir()
        for name in left:
            (folder / name).write_bytes(b"")
        assert account(begin(experiment(), folder)) == whole


@pytest.mark.parametrize("missing", ["provenance.json", "resolved.yaml"])
def test_into_begins_again_what_failed_while_it_was_made(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """A disk was full before all was stored that a start stores; the status shows it, and no step was done."""
    refused = "write_provenance" if missing == "provenance.json" else "write_resolved"

    def refuse(*_: object) -> None:
        raise EnvironmentFault("no space")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, refused, refuse)
        with pytest.raises(EnvironmentFault):
            begin(experiment(), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert (run.read_status().state, (run.path / missing).exists()) == ("failed", False)
    assert account(begin(experiment(), run.path)) == account(begin(experiment(), tmp_path / "whole"))
    (run.path / missing).unlink()
    with pytest.raises(VerificationError, match=f"{missing}: is missing"):
        begin(experiment(), run.path)
