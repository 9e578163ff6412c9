"""Every shipped config is complete, commented and trains."""

import re
from pathlib import Path

import pytest

import rnnlab
from rnnlab.config.load import check_document, load_experiment
from rnnlab.config.reading import document_of_data
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.expand import check_sweep
from rnnlab.tasks import TASKS

FOLDER = Path(__file__).parent.parent / "configs"
SWEEPS = sorted(path for path in FOLDER.glob("*.yaml") if "\nsweep:" in path.read_text())
CONFIGS = sorted({*FOLDER.glob("*.yaml")} - {*SWEEPS})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_trains_two_steps(path: Path, tmp_path: Path) -> None:
    smaller = min(4, load_experiment(path).experiment.training.batch_size)
    run = rnnlab.train(
        path, ["training.steps=2", f"training.batch_size={smaller}", "evaluation.sequences=8"], runs=tmp_path / "runs"
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
    assert re.fullmatch(r"# .{15,62}\.", lines[1]), "one line on what it shows, for `rnnlab configs`"
    assert any(re.fullmatch(r"# Time: about \d+ (s|min)\.", line) for line in lines)
    name = check_sweep(path).plan.name if path in SWEEPS else load_experiment(path).experiment.name
    assert name == path.stem.replace("_", "-")


def test_the_vanishing_sweep_is_the_vanishing_pair_at_ten_lengths() -> None:
    """At T=100 and seed 0 its trials are those two, but for their names, the length and the shards."""
    checked = check_sweep(FOLDER / "vanishing_sweep.yaml")
    assert len(checked.plan.trials) == 2 * 10 * 5
    for cell, name in (("simple", "0046-simple-T100-seed0"), ("carry", "0096-carry-T100-seed0")):
        overrides = ["numpy.shards=1", "shape.timesteps=100"]
        alone = load_experiment(FOLDER / f"vanishing_{cell}.yaml", overrides).experiment
        assert {**checked.experiments[name].resolved(), "name": alone.name} == alone.resolved()


def test_every_task_has_a_config() -> None:
    shown = {load_experiment(path).experiment.task.type.partition("@")[0] for path in CONFIGS}
    assert shown == set(TASKS.names())


def test_the_vanishing_configs_differ_in_the_cell_alone() -> None:
    """And what was tuned is what their comments name."""
    simple, irnn, carry = (
        load_experiment(FOLDER / f"vanishing_{name}.yaml").experiment.resolved() for name in ("simple", "irnn", "carry")
    )
    for other in (irnn, carry):
        assert {key for key in simple if simple[key] != other[key]} == {"name", "cell"}
    plain = document_of_data({"task": "parity", "cell": {"type": "simple", "units": 32}})
    defaults = check_document(plain, default_name="x")
    assert simple["cell"] == defaults.resolved()["cell"]
    assert simple["shape"]["timesteps"] == [50, 200]
    identity = {"recurrent_kernel": {"type": "identity", "scale": 1.0}}
    initializers = simple["cell"]["initializers"]
    assert irnn["cell"] == simple["cell"] | {"activation": "relu", "initializers": initializers | identity}
    half = {"recurrent_kernel": {"type": "orthogonal", "scale": 0.5}}
    of_carry = {"type": "carry", "recurrent_activation": "sigmoid", "forget_bias": 4.0}
    assert carry["cell"] == simple["cell"] | of_carry | {"initializers": initializers | half}


def test_the_vanishing_search_has_the_same_budget_for_both_cells() -> None:
    trials = check_sweep(FOLDER / "vanishing_search.yaml").plan.trials
    assert [sum(trial.values["cell.type"] == cell for trial in trials) for cell in ("simple", "carry")] == [18, 18]


def test_the_notebook_pair_has_the_notebook_shape() -> None:
    for cell in ("simple", "carry"):
        experiment = load_experiment(FOLDER / f"notebook_{cell}.yaml").experiment
        task = experiment.build_task()
        assert (experiment.timesteps, task.input_features, experiment.cell.units) == ((120, 120), 14, 16)
        assert experiment.cell.type == cell
        assert {experiment.cell.model_dump().get("recurrent_activation", "tanh"), experiment.cell.activation} == {
            "tanh"
        }
