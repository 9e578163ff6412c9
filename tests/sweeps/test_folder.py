"""The sweep's folder: made once, found again, never that of another sweep."""

from pathlib import Path

import pytest

from rnnlab.config.load import check_document, load_experiment
from rnnlab.config.reading import document_of_data
from rnnlab.core.errors import RunNotFoundError, UsageError, VerificationError
from rnnlab.storage.jsonfile import read_json, write_json
from rnnlab.sweeps import Plan, SweepFolder, find_sweep
from rnnlab.sweeps.plan import CheckedSweep
from tests.sweeps.trying import plan, trial

TWO = plan([trial(1), trial(2)])
EXPERIMENT = check_document(document_of_data({"task": "parity", "name": "x"}), default_name="x")


def made(path: Path, which: Plan = TWO) -> SweepFolder:
    experiments = {trial.name: EXPERIMENT for trial in which.trials}
    return SweepFolder.create(path, CheckedSweep(which, experiments, b"task: parity\n"))


def test_a_sweep_that_was_half_made_is_made_whole(place: Path) -> None:
    sweep = made(Path("tiny"))
    (sweep.path / "plan.json").unlink()
    (sweep.path / "configs" / "0001-seed0.yaml").write_text("half")
    assert load_experiment(made(Path("tiny")).config(TWO.trials[0])).experiment == EXPERIMENT


def test_another_sweep_in_the_same_folder_is_an_error(place: Path) -> None:
    made(Path("tiny"))
    with pytest.raises(UsageError) as caught:
        made(Path("tiny"), plan([trial(1), trial(2).model_copy(update={"sha256": "f" * 64})]))
    assert "1 of its 2 trials are not in this config, the first 0002-seed1: a sweep can get more" in str(caught.value)
    assert SweepFolder(Path("tiny")).read_plan() == TWO


def test_a_folder_with_other_files_is_an_error(place: Path) -> None:
    Path("tiny").mkdir()
    Path("tiny/thesis.txt").touch()
    with pytest.raises(
        UsageError, match=r"^tiny: is not a sweep, and not empty: it contains thesis.txt — choose another"
    ):
        made(Path("tiny"))
    assert [path.name for path in Path("tiny").iterdir()] == ["thesis.txt"]


def test_a_sweep_is_found_by_its_path_or_its_name(place: Path) -> None:
    made(Path("runs/tiny"))
    assert find_sweep(Path("runs"), "tiny").path == find_sweep(Path("x"), "runs/tiny").path == Path("runs/tiny")
    with pytest.raises(RunNotFoundError, match=r"^runs: there is no sweep 'tinny' — `rnnlab sweep CONFIG` makes one"):
        find_sweep(Path("runs"), "tinny")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "rnnlab-plan/9", "format: Input should be 'rnnlab-plan/1'"),
        (
            "options",
            {"method": "magic"},
            "is not the plan of a sweep of this version of rnnlab: options.method: Input should be 'grid', 'random'",
        ),
        ("trials", [{**trial(1).model_dump(), "name": "../x"}], "trials.0.name: String should match pattern"),
        ("trials", [trial(2).model_dump()], "trials: Value error, the trials are not numbered 1, 2, …"),
        ("trials", [trial(1, "a").model_dump(), trial(2, "A").model_dump()], "two trials have the same name"),
    ],
)
def test_a_plan_that_was_changed_is_an_error(place: Path, key: str, value: object, message: str) -> None:
    sweep = made(Path("tiny"))
    path = sweep.path / "plan.json"
    write_json(path, {**read_json(path), key: value})
    with pytest.raises(VerificationError) as caught:
        sweep.read_plan()
    assert message in str(caught.value)


def test_a_plan_too_large_to_be_read_again_is_not_made(place: Path) -> None:
    long = {f"task.key{number}": "x" * 9000 for number in range(100)}
    with pytest.raises(UsageError, match=r"the plan of 20 trials takes .* bytes, expected at most 16,777,216"):
        made(Path("tiny"), plan([trial(number, f"{number}", long) for number in range(1, 21)]))
    assert not Path("tiny").exists()
