"""Every shipped row: valid, complete, with as many weights as its paper prints, and its network trains."""

from pathlib import Path

import pytest

import rnnlab
from rnnlab.config.reading import apply_overrides
from rnnlab.core.errors import ConfigError, UsageError
from rnnlab.reproduction.published import SEQUENCES
from rnnlab.reproduction.rows import (
    FOLDER,
    Row,
    read_row,
    row_names,
    rows_named,
    rows_of_task,
    shipped_row,
)
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.expand import check_sweep_document
from tests.reproduction.tiny import ROW

NAMES = row_names()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_complete_and_has_the_printed_number_of_weights(name: str) -> None:
    row = shipped_row(name)
    published, checked = row.published, row.checked
    for experiment in checked.experiments.values():
        assert published.weights in {None, experiment.network().parameter_count}
    # The same network, unit by unit, in its arrays.
    model = row.example.network().draw(0)
    assert sum(array.size for array in model.values()) == row.parameters
    if published.trials is not None and len(checked.plan.trials) < published.trials:
        assert any("trials" in text for text in published.departures)
    if published.measure == SEQUENCES:
        limit = row.example.training.steps * row.example.training.batch_size
        assert limit >= 2 * published.value, "a trial may take twice as many sequences as the paper's mean"
    for variant in row.variants:
        assert variant.checked.plan.trials
        assert {trial.sha256 for trial in variant.checked.plan.trials}.isdisjoint(
            trial.sha256 for trial in checked.plan.trials
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_row_trains_two_steps(name: str, tmp_path: Path) -> None:
    row = shipped_row(name)
    fast = ["training.steps=2", "evaluation.sequences=2", "sweep.seeds=1", "numpy.compiled=false", "numpy.lanes=null"]
    short = apply_overrides(row.document, fast)
    sweep = SweepFolder.create(tmp_path / "s", check_sweep_document(short, default_name="s"))
    run = rnnlab.train(sweep.config(sweep.read_plan().trials[0]), runs=sweep.trials)
    assert (run.state, run.summary.steps, run.summary.parameters) == ("completed", 2, row.parameters)


def test_each_file_is_a_row_or_is_extended() -> None:
    names = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert {name for name in names if "/_" not in name} == set(NAMES)


def test_rows_are_named_by_how_they_begin() -> None:
    assert [row.name for row in rows_named(["hs1997/table7_100"])] == ["hs1997/table7_100"]
    found = [row.name for row in rows_named(["hs1997/table7", "hs1997/table7_500"])]
    assert found == ["hs1997/table7_100", "hs1997/table7_500", "hs1997/table7_1000"]
    with pytest.raises(UsageError, match="did you mean 'hs1997/table7_100'"):
        rows_named(["hs1997/tabel7_100"])


def test_a_task_knows_its_rows() -> None:
    assert "hs1997/table7_500" in rows_of_task("adding@hs1997")
    assert rows_of_task("adding@urnn") == [] or "hs1997" not in rows_of_task("adding@urnn")[0]


def row_of(text: str, folder: Path) -> Row:
    (folder / "paper").mkdir(exist_ok=True)
    (folder / "paper" / "row.yaml").write_text(text)
    return read_row(folder / "paper" / "row.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weights: 5", "weights: 7", "the network has 5 parameters, the paper prints 7"),
        ("published:", "publishes:", "no `published` block"),
        (
            "measure: sequences",
            "measure: speed",
            "13:12 published.measure: got 'speed', expected sequences, solved, or",
        ),
        ("measure: sequences", "measure: test.los", "there is no 'test.los' of parity — did you mean 'test.loss'?"),
        ("measure: sequences", "measure: metrics.nothing", "there is no 'metrics.nothing' of parity"),
        ("value: 40", "valeu: 40", "unknown key 'valeu'"),
        ("ratio: [0.5, 2]", "ratio: [2, 0.5]", "expected two numbers, the lower one first"),
        ("{solved: 0.9, ratio: [0.5, 2]}", "{}", "expected at least one of solved, ratio and value"),
        ("https://example.org/paper", "example.org", "url: got 'example.org'"),
        ("A departure with its reason.", "A departure", "a sentence that ends with a full stop"),
        ("measure: sequences", "measure: test.loss", "measure test.loss needs a `test`"),
        ("value: 40", "value: 0", "agrees.ratio has no meaning with the value 0"),
        ("units: 1", "unist: 1", "unknown key 'unist'"),
        ("trials: 3", "trials: 30", "published.trials: the paper prints 30, the sweep has 3"),
        ("{sequences: 50}", "{sequences: 50, diagnosis: jacobian}", "known: fixed-points"),
        (
            "{sequences: 50}",
            "{sequences: 50, changes: {cell.units: 2}}",
            "published.test: --set would change the network",
        ),
        ("{sequences: 50}", "{sequences: 50, changes: {shape.timestep: 2}}", "unknown key 'timestep'"),
        ("adam: {training.optimizer:", "adam: {published.title: x, training.optimizer:", "expected a dotted key of"),
        ("adam:", "Adam:", "published.variants.Adam: got 'Adam', expected a name"),
    ],
)
def test_what_is_wrong_with_a_row(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = ROW.replace("  test: {sequences: 50}\n", "") if "test.loss" in new else ROW
    assert old in text
    with pytest.raises(ConfigError) as caught:
        _ = row_of(text.replace(old, new), tmp_path).checked
    assert message in str(caught.value)


def test_two_files_are_never_one_row(tmp_path: Path) -> None:
    for folder in ("a/paper", "b/paper", "hs1997"):
        (tmp_path / folder).mkdir(parents=True)
    first, second, third = (tmp_path / name for name in ("a/paper/r.yaml", "b/paper/r.yaml", "hs1997/table7_100.yaml"))
    for path in (first, second, third):
        path.write_text(ROW)
    assert [row.name for row in rows_named([str(first), str(tmp_path / "a/../a/paper/r.yaml")])] == ["paper/r"]
    with pytest.raises(UsageError, match="are both the row paper/r"):
        rows_named([str(first), str(second)])
    with pytest.raises(UsageError, match="has the name of a row of rnnlab, hs1997/table7_100"):
        rows_named([str(third)])
    with pytest.raises(UsageError, match=r"a row is a file: .*row\.yaml"):
        rows_named([str(tmp_path)])


def test_what_is_written_about_a_row_does_not_change_its_training(tmp_path: Path) -> None:
    before = row_of(ROW, tmp_path).checked
    after = row_of(ROW.replace("a tiny row", "another title") + "  notes: |\n    More.\n", tmp_path).checked
    assert before.config == after.config
    assert before.plan.same_as(after.plan)
    assert "published" not in before.config.decode()
