"""Every shipped config is complete, commented and trains."""

from pathlib import Path

import pytest

import rnnlab
from rnnlab.config.load import load_experiment
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.expand import check_sweep
from rnnlab.tasks import TASKS

FOLDER = Path(__file__).parent.parent / "configs"
SWEEPS = sorted(path for path in FOLDER.glob("*.yaml") if "\nsweep:" in path.read_text())
CONFIGS = sorted({*FOLDER.glob("*.yaml")} - {*SWEEPS})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_trains_two_steps(path: Path, tmp_path: Path) -> None:
    run = rnnlab.train(
        path, ["training.steps=2", "training.batch_size=4", "evaluation.sequences=8"], runs=tmp_path / "runs"
    )
    assert run.state == "completed"
    assert run.summary.steps == 2
    assert [record["step"] for record in run.records] == [0, 2]
    assert run.records[-1]["validation/loss"] > 0


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_trains_two_steps_of_two_trials(path: Path, tmp_path: Path) -> None:
    checked = check_sweep(path, ["training.steps=2", "training.batch_size=4", "evaluation.sequences=8"])
    sweep = SweepFolder.create(tmp_path / "s", checked)
    for trial in (checked.plan.trials[0], checked.plan.trials[-1]):
        run = rnnlab.train(sweep.config(trial), runs=sweep.trials)
        assert (run.state, run.summary.steps, run.summary.name) == ("completed", 2, trial.name)


@pytest.mark.parametrize("path", [*CONFIGS, *SWEEPS], ids=lambda path: path.stem)
def test_says_what_it_is(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    assert lines[1].startswith("# ")
    name = check_sweep(path).plan.name if path in SWEEPS else load_experiment(path).experiment.name
    assert name == path.stem.replace("_", "-")


def test_the_vanishing_sweep_is_the_vanishing_pair_at_ten_lengths() -> None:
    """At T=100 and seed 0 its trials are those two, but for their names and the shards."""
    checked = check_sweep(FOLDER / "vanishing_sweep.yaml")
    assert len(checked.plan.trials) == 2 * 10 * 5
    for cell, name in (("simple", "0046-simple-T100-seed0"), ("carry", "0096-carry-T100-seed0")):
        alone = load_experiment(FOLDER / f"vanishing_{cell}.yaml", ["numpy.shards=1"]).experiment
        assert {**checked.experiments[name].resolved(), "name": alone.name} == alone.resolved()


def test_every_task_has_a_config() -> None:
    shown = {load_experiment(path).experiment.task.type.partition("@")[0] for path in CONFIGS}
    assert shown == set(TASKS.names())


def test_the_vanishing_pair_differs_in_the_cell_alone() -> None:
    simple, carry = (
        load_experiment(FOLDER / f"vanishing_{cell}.yaml").experiment.resolved() for cell in ("simple", "carry")
    )
    assert {key for key in simple if simple[key] != carry[key]} == {"name", "cell"}
    cell = {key: value for key, value in carry["cell"].items() if simple["cell"].get(key) != value}
    assert cell == {"type": "carry", "recurrent_activation": "sigmoid", "forget_bias": 2.0}
    assert simple["shape"]["timesteps"] == 100


def test_the_notebook_pair_has_the_notebook_shape() -> None:
    for cell in ("simple", "carry"):
        experiment = load_experiment(FOLDER / f"notebook_{cell}.yaml").experiment
        task = experiment.build_task()
        assert (experiment.timesteps, task.input_features, experiment.cell.units) == ((120, 120), 14, 16)
        assert experiment.cell.type == cell
        assert {experiment.cell.model_dump().get("recurrent_activation", "tanh"), experiment.cell.activation} == {
            "tanh"
        }
