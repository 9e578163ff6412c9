"""A sweep that grows: only what is new is trained, and what is there keeps its name and its files."""

from pathlib import Path

import pytest

from rnnlab.core.errors import UsageError
from rnnlab.sweeps import SweepFolder
from tests.sweeps.trying import make_sweep, run

TINY = "task: parity\nshape: {timesteps: 3}\ntraining: {steps: 2, batch_size: 4}\nevaluation: {sequences: 8}\n"
DOUBLE = "precision: float64\n"


def grid(units: str, seeds: int) -> str:
    return f"{TINY}sweep: {{axes: {{cell.units: [{units}]}}, seeds: {seeds}}}\n"


def stamps(sweep: SweepFolder) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in sweep.trials.glob("*/status.json")}


def test_a_finished_grid_takes_more_seeds_and_values(place: Path) -> None:
    sweep = make_sweep(place, grid("2, 3", 2))
    assert len(run(sweep)) == 4
    before, id = stamps(sweep), sweep.read_plan().id
    sweep = make_sweep(place, grid("1, 2, 3", 3))
    added = ["0005-H1-seed0", "0006-H1-seed1", "0007-H1-seed2", "0008-H2-seed2", "0009-H3-seed2"]
    assert run(sweep) == [(name, "completed") for name in added]
    after = stamps(sweep)
    assert {name: after[name] for name in before} == before
    assert sweep.read_plan().id == id
    assert (sweep.path / "sweep.yaml").read_text() == grid("1, 2, 3", 3)
    assert run(make_sweep(place, grid("1, 2, 3", 3))) == []
    assert run(make_sweep(place, "# a remark\n" + grid("3, 2, 1", 3))) == []


def test_a_single_seed_becomes_many(place: Path) -> None:
    """The first trials have no seed among their values; the config's own, 0, is one of the new seeds."""
    assert len(run(make_sweep(place, TINY + "sweep: {axes: {cell.units: [2, 3]}}\n"))) == 2
    assert [name for name, _ in run(make_sweep(place, grid("2, 3", 2)))] == ["0003-H2-seed1", "0004-H3-seed1"]


def test_random_trials_are_drawn_on(place: Path) -> None:
    text = TINY + "sweep: {method: random, trials: 3, axes: {cell.units: {from: 1, to: 40}}}\n"
    first = make_sweep(place, text).read_plan().trials
    more = make_sweep(place, text.replace("3, axes", "5, axes")).read_plan().trials
    assert (len(more), more[:3]) == (5, first)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (grid("2", 2), "2 of its 4 trials are not in this config, the first 0003-H3-seed0: "),
        (DOUBLE + grid("2, 3", 2), "4 of its 4 trials are not in this config, the first 0001-H2-seed0: "),
        (TINY + "sweep: {method: tpe, trials: 4, axes: {cell.units: [2, 3]}}\n", "its method is grid, that of this"),
    ],
    ids=["fewer", "another base", "a search"],
)
def test_nothing_is_taken_away(place: Path, other: str, message: str) -> None:
    plan = make_sweep(place, grid("2, 3", 2)).read_plan()
    with pytest.raises(UsageError) as caught:
        make_sweep(place, other)
    assert f"already has another sweep: {message}" in str(caught.value)
    assert SweepFolder(place / "runs" / "s").read_plan() == plan


def search(trials: int, units: str = "[2, 3, 4, 5, 6]", seeds: int = 1) -> str:
    return f"{TINY}sweep: {{method: tpe, trials: {trials}, seeds: {seeds}, axes: {{cell.units: {units}}}}}\n"


def test_a_finished_search_takes_more_trials(place: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    sweep = make_sweep(place, search(2))
    first = run(sweep, workers=1)
    assert len(first) == 2
    more = run(make_sweep(place, search(4)), workers=1)
    assert len(more) == 2
    assert not set(first) & set(more)
    assert [trial.number for trial in sweep.read_plan().trials] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (search(1), "it has 2 trials, this config 1: it cannot get fewer"),
        (search(2, "[2, 9]"), "sweep.axes.cell.units is [2, 3, 4, 5, 6] there, [2, 9] here: a search can get more"),
        (search(2, seeds=2), "sweep.seeds is 1 there, 2 here: a search can get more `trials`"),
        (DOUBLE + search(2), 'precision is null there, "float64" here: a search can get more'),
    ],
    ids=["fewer", "axes", "seeds", "another base"],
)
def test_all_else_of_a_search_stays(place: Path, other: str, message: str) -> None:
    make_sweep(place, search(2))
    with pytest.raises(UsageError) as caught:
        make_sweep(place, other)
    assert message in str(caught.value)
