"""`rnnlab.testing` passes a right cell and task, and finds what is wrong in each that is not."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnlab.cells.base import StepGradients
from rnnlab.cells.simple import Simple
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.testing import check_cell, check_task
from rnnlab.testing.cells import check_step
from tests.cli.program import rnnlab

TASK = '''\
import numpy as np

from rnnlab.tasks.base import AbstractTask, Batch, Reference, Threshold, always, draw_lengths
from rnnlab.tasks.base import last_step_mask, within_lengths


class FirstBit(AbstractTask):
    """Which bit came first?

    One input per step, -1 or +1 at random; the target at the last step is the first one, as 0 or 1.
    """

    input_features = output_features = 1
    default_timesteps = (2, 10)
    loss = "binary_cross_entropy"
    solved = Threshold({"error_rate": 0.01})

    def sample(self, rng, *, batch_size, timesteps):
        lengths = draw_lengths(rng, batch_size, timesteps)
        bits = rng.integers(0, 2, size=(batch_size, timesteps[1]))
        inputs = (2.0 * bits - 1) * within_lengths(lengths, timesteps[1])
        return Batch(inputs[:, :, None], bits[:, :1].astype(float), last_step_mask(lengths, timesteps[1]), lengths)

    def timesteps_fault(self, timesteps):
        return "needs at least 2 steps" if timesteps[0] < 2 else None

    def references(self, timesteps):
        return (Reference("both equally likely", float(np.log(2)), always(0.0)),)

    def oracle(self, batch):
        return np.where(batch.inputs[:, 0] > 0, 1000.0, -1000.0)
'''
MEASURED = "float(np.log(2)), always(0.0)"
WRONG = {
    "states the loss 0.9, measured 0.693": ("float(np.log(2))", "0.9"),
    "below the baseline": ("2.0 * bits", "2.0 * bits[:, :1]"),
    # ln(1 + e^-0.1), of who knows the first bit and trusts it little.
    "looks beyond its own step": (MEASURED, "0.6443966600735709, lambda batch: 0.1 * batch.inputs[:, 0]"),
    # ln(1 + e^0.5) - 1/4
    "does not look beyond": ("return (", "return (Reference('m', 0.7240769841801067, always(0.5), True), "),
    "0.6931471805599453, 0.0], expected falling ones": ("return (", f"return (Reference('m', {MEASURED}), "),
    "is met by 'both equally likely'": ('"error_rate": 0.01', '"error_rate": 0.9'),
    "'oracle' states the loss 0": ("1000.0, -1000.0", "1.0, -1.0"),
    "is not met by the oracle": ('"error_rate": 0.01', '"error_rate": -1.0'),
    "has a sequence alone, or other targets": ("batch.inputs[:, 0] > 0", "batch.targets > 0.5"),
    "does `sample` use `rng`?": ("bits = rng", "bits = np.random.default_rng(0)"),
    "no reason why sequences of 0 steps": ("< 2 else", "< 0 else"),
}
CELL = """\
from rnnlab.cells.base import AbstractCell, Step
from rnnlab.core.parameters import Parameter


class Plain(AbstractCell):
    states = ("h",)

    def parameters(self, input_features):
        units = self.options.units
        return {"W": Parameter((input_features, units), "kernel"), "u": Parameter((units,), "recurrent_kernel")}

    def step(self, xp, parameters, inputs, state):
        h = self.activation(xp, xp.matmul(inputs, parameters["W"]) + state["h"] * parameters["u"])
        return Step(output=h, state={"h": h})
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_right_task_and_a_right_cell_pass(here: Path) -> None:
    (here / "my.py").write_text(TASK + "\n\n" + CELL.replace("Step\n", "Step\n", 1))
    check_task("./my.py:FirstBit")
    done = rnnlab("verify", "./my.py:FirstBit")
    assert (done.code, done.stderr) == (0, "")
    engine = ["tensorflow"] if "keras" in sys.modules and sys.modules["keras"].backend.backend() == "tensorflow" else []
    check_cell("./my.py:Plain", {"layers": 2}, engines=["numpy", *engine])


@pytest.mark.parametrize("problem", WRONG)
def test_a_wrong_task_fails(here: Path, problem: str) -> None:
    old, new = WRONG[problem]
    assert old in TASK
    (here / "my.py").write_text(TASK.replace(old, new))
    with pytest.raises(VerificationError) as caught:
        check_task("./my.py:FirstBit")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ('h.astype("f8")', "my.py:14: an equation cannot have `.astype`"),
        ("h - h.mean(axis=0)", "my.py:14: an equation cannot have `.mean`"),
    ],
)
def test_a_wrong_cell_fails(here: Path, new: str, problem: str) -> None:
    (here / "my.py").write_text(CELL.replace("output=h,", f"output={new},"))
    with pytest.raises((VerificationError, UsageError)) as caught:
        check_cell("./my.py:Plain", engines=["numpy"])
    assert problem in str(caught.value)


UNUSED = ('"recurrent_kernel")}', '"recurrent_kernel"), "v": Parameter((units,), "bias")}')
RETURN = "Step(output=h,"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (RETURN, "Step(output=xp.log(h - 2.0),", "output that is not finite"),
        (RETURN, "Step(output=h * __import__('random').random(),", "another output when it is called again"),
        ("h = self", "self.k = getattr(self, 'k', 0) + 1; h = self.k * self", "another output when it is called again"),
        (*UNUSED, "never uses the parameter 'v'"),
        ("states =", "gates = {'g': 'tanh'}; states =", "my.py:12: `step` saves no 'g', which is one of the cell's"),
        ("states =", "forget = 'zz'; states =", "Plain.forget is 'zz', expected one of its `gates`"),
    ],
)
def test_what_is_wrong_with_a_step_is_named(here: Path, old: str, new: str, problem: str) -> None:
    assert old in CELL
    (here / "my.py").write_text(CELL.replace(old, new))
    with pytest.raises((VerificationError, UsageError)) as caught:
        check_cell("./my.py:Plain", engines=["numpy"])
    assert problem in str(caught.value)


@pytest.mark.parametrize(("activation", "is_right"), [("tanh", True), ("activation", True), ("none", False)])
def test_a_gate_names_an_activation_or_an_option(here: Path, activation: str, is_right: bool) -> None:
    text = CELL.replace("states =", f"gates = {{'g': {activation!r}}}; states =")
    (here / "my.py").write_text(text.replace('{"h": h})', '{"h": h}, saved={"g": h})'))
    (here / "x.yaml").write_text("task: adding\ncell: {type: ./my.py:Plain, units: 3}\nshape: {timesteps: 6}\n")
    with (here / "x.yaml").open("a") as file:
        file.write("training: {steps: 2, batch_size: 4}\nevaluation: {sequences: 8}\n")
    done = rnnlab("train", "x.yaml", "--into", "one", "-q")
    if is_right:
        assert done.code == 0, done.stderr
        assert "layers.0.g" in rnnlab("diagnose", "one", "--only", "gates", "--json").stdout
    else:
        assert done.code == 2
        assert "my.py: Plain.gates" in done.stderr
        assert "Plain.gates['g'] is 'none', expected an activation" in done.stderr


def test_a_derivative_by_hand_that_is_not_that_of_the_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Simple.step_vjp

    def wrong(*arguments: Any, **named: Any) -> StepGradients:
        found = right(*arguments, **named)
        return replace(found, inputs=found.inputs * 1.001)

    monkeypatch.setattr(Simple, "step_vjp", wrong)
    with pytest.raises(VerificationError, match="inputs"):
        check_step(Simple(Simple.Options(units=5)))


def test_a_step_that_writes_to_its_arguments_fails(here: Path) -> None:
    (here / "my.py").write_text(CELL.replace("        return Step", "        state['h'] += 1\n        return Step"))
    with pytest.raises(VerificationError, match="writes to one of its arguments"):
        check_cell("./my.py:Plain", engines=["numpy"])
