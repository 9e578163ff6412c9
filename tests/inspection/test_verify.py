"""`verify` passes what is right, fails what is not, and knows rounding from error."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.numpy import NumpyModel
from rnnlab.cells.base import Step
from rnnlab.cells.carry import Carry
from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.core.batch import Batch
from rnnlab.equations.plan import plan_of
from rnnlab.inspection.verify import verify
from tests.cli.program import rnnlab

SMALL = """\
task: adding
cell: {type: carry, units: 5, layers: 2}
shape: {timesteps: [5, 9]}
training: {steps: 9, batch_size: 4, optimizer: {learning_rate: 0.01}}
"""


def experiment(here: Path, precision: str) -> Experiment:
    path = here / "x.yaml"
    path.write_text(SMALL)
    return load_experiment(path, [f"precision={precision}"]).experiment


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_right_network_passes(tmp_path: Path, precision: str) -> None:
    checks = list(verify(experiment(tmp_path, precision), steps=3))
    names = [check.what for check in checks]
    assert names[:3] == ["outputs", "state layers.0.h", "state layers.0.c"]
    assert "gradient of layers.1.Vo" in names
    assert "after 3 steps, head.b" in names
    assert [check.what for check in checks if not check.passed] == []
    fixed = {"float32": 1e-5, "float64": 1e-12}[precision]
    assert all(check.tolerance == max(fixed, 32 * check.rounding) for check in checks if check.what.startswith("state"))
    assert {check.against for check in checks} == {"keras", "central differences"}


@pytest.mark.parametrize(
    "cell", ["{type: lstm_1997, truncate: true}", "{type: lstm_peephole, peephole_gradient: false}"]
)
def test_what_is_stopped_does_not_move(here: Path, cell: str) -> None:
    """The gradient of a network that stops some is no slope of its loss, unless what is stopped keeps its values."""
    (here / "x.yaml").write_text(SMALL)
    sets = [f"cell={cell}", "cell.units=3", "cell.layers=1", "precision=float64"]
    checks = list(verify(load_experiment(here / "x.yaml", sets).experiment, steps=1))
    assert [check.what for check in checks if not check.passed] == []
    assert max(check.difference for check in checks if check.against == "central differences") < 1e-7


def test_what_comes_after_the_end_of_a_sequence_is_not_compared(here: Path) -> None:
    """The strings of this batch end long before the longest that the grammar was asked for."""
    (here / "x.yaml").write_text("task: embedded_reber@hs1997\ntraining: {batch_size: 8}\n")
    checks = list(verify(load_experiment(here / "x.yaml", []).experiment, steps=1))
    assert checks[0].what == "outputs"
    assert [check.what for check in checks if not check.passed] == []


def test_two_gates_in_each_others_place_fail(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras and the central differences compute the `step` that is there now, NumPy the plan made of another before.

    No other test has 6 units, so that each plan is known to this one alone.
    """
    (here / "x.yaml").write_text(SMALL.replace("units: 5, layers: 2", "units: 6"))
    net = load_experiment(here / "x.yaml", []).experiment.network()
    plan_of(net.cell, net.input_features)
    right = Carry.step

    def swapped(self: Carry, xp: Any, parameters: Any, inputs: Any, state: Any) -> Step:
        other = {"i": "f", "f": "i"}
        traded = {name[0] + other.get(name[1], name[1]): value for name, value in parameters.items()}
        return right(self, xp, traded, inputs, state)

    monkeypatch.setattr(Carry, "step", swapped)
    result = rnnlab("verify", "x.yaml", "--steps", "2", "--json")
    assert result.code == 4
    assert "E_DATA" in result.stderr
    assert "differs from keras by" in result.stderr
    reported = json.loads(result.stdout)
    assert reported["passed"] is False
    assert {row["passed"] for row in reported["checks"] if row["what"] == "state layers.0.c"} == {False}
    assert {row["passed"] for row in reported["checks"] if row["against"] == "central differences"} == {False}


def test_a_reference_of_garbage_does_not_raise_the_tolerance_without_bound(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient of one parameter differs from call to call, as if its memory had never been written."""
    right, garbage = NumpyModel.loss_and_gradients, iter([3e31, 5e37, 2e12, 1.0])

    def wrong(self: NumpyModel, batch: Batch) -> tuple[float, dict[str, np.ndarray]]:
        loss, gradients = right(self, batch)
        return loss, {**gradients, "layers.0.W": gradients["layers.0.W"] * 0 + next(garbage, 1.0)}

    monkeypatch.setattr(NumpyModel, "loss_and_gradients", wrong)
    (here / "x.yaml").write_text("task: adding\n")
    small = ["cell=simple", "cell.units=3", "training.batch_size=2", "shape.timesteps=3"]
    checks = list(verify(load_experiment(here / "x.yaml", small).experiment, steps=1))
    (one,) = (check for check in checks if check.what == "gradient of layers.0.W" and check.against == "keras")
    assert one.rounding > 1e5
    assert one.tolerance == 0.5
    assert not one.passed


def test_a_gradient_of_rounding_alone_passes(here: Path) -> None:
    """With one unit, that of the bias of the sLSTM's input gate is zero but for rounding: i / n does not change."""
    (here / "x.yaml").write_text("task: adding\n")
    small = ["cell=slstm", "cell.units=1", "training.batch_size=1", "shape.timesteps=8"]
    checks = list(verify(load_experiment(here / "x.yaml", small).experiment, steps=20))
    assert [check.what for check in checks if not check.passed] == []


def test_a_relu_at_its_kink_is_left_out_and_counted(here: Path) -> None:
    """The first layer gives 0 here, so that the second's argument is 0: any slope from 0 to 1 is right."""
    (here / "x.yaml").write_text("task: adding\n")
    small = ["cell=indrnn", "cell.units=1", "cell.layers=2", "training.batch_size=1", "shape.timesteps=2"]
    result = rnnlab("verify", "x.yaml", "--steps", "1", *(word for one in small for word in ("--set", one)))
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "27 of 27 within tolerance; 1 left out, where the loss has a kink"


@pytest.mark.parametrize("cell", ["indrnn", "carry"])
def test_a_wrong_gradient_is_not_taken_for_a_kink(here: Path, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = NumpyModel.loss_and_gradients

    def wrong(self: NumpyModel, batch: Batch) -> tuple[float, dict[str, np.ndarray]]:
        loss, gradients = right(self, batch)
        return loss, {name: array * 1.001 for name, array in gradients.items()}

    monkeypatch.setattr(NumpyModel, "loss_and_gradients", wrong)
    (here / "x.yaml").write_text("task: adding\n")
    small = [f"cell={cell}", "cell.units=3", "training.batch_size=4", "shape.timesteps=4"]
    found = load_experiment(here / "x.yaml", small).experiment
    start = found.network().draw(found.seed)
    checks = [check for check in verify(found, steps=1) if check.against == "central differences"]
    assert len(checks) == len(start)
    assert not any(check.passed for check in checks)


def test_a_table_tells_the_same(here: Path) -> None:
    (here / "x.yaml").write_text(SMALL.replace("layers: 2", "layers: 1"))
    result = rnnlab("verify", "x.yaml", "--steps", "1")
    assert (result.code, result.stderr) == (0, "")
    # 13 parameters in the layer, 2 in the head: as gradient, after training, against central differences; then the
    # outputs, two states, and the loss.
    assert result.stdout.splitlines()[-1] == f"{3 * 15 + 4} of {3 * 15 + 4} within tolerance"
    assert sum(" central diff. " in line for line in result.stdout.splitlines()) == 15


def test_the_gradient_along_a_stream_is_compared_with_central_differences(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "task: continual_reber\nprecision: float64\ncell: {type: lstm_1997, units: 2, truncate: true}\n"
        "training: {update: step, reset: error, batch_size: 1}\n"
    )
    checks = list(verify(load_experiment(path).experiment, backends=[]))
    assert len(checks) == 17  # 15 parameters of the cell, two of the output layer
    assert all(check.passed and check.against == "central differences" for check in checks)


@pytest.mark.parametrize("update", ["sequence", "step"])
def test_the_gradient_of_summed_steps_is_the_slope_of_the_sum(tmp_path: Path, update: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "task: embedded_reber\nprecision: float64\ncell: {type: lstm_1997, units: 2, truncate: true}\n"
        f"training: {{reduction: sum, update: {update}, batch_size: 1}}\n"
    )
    checks = list(verify(load_experiment(path).experiment, backends=[]))
    assert len(checks) == 17
    assert [check.what for check in checks if not check.passed] == []
