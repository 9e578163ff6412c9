"""A user's task in a file of his own, named by path: all that a built-in task can do, and one message for a mistake."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import rnnlab as package
from rnnlab.core.code_files import VARIABLE
from tests.cli.program import child, rnnlab

RECALL = '''\
import numpy as np

from rnnlab.tasks.base import (
    AbstractTask, Batch, Reference, TaskOptions, always, draw_lengths, last_step_mask, within_lengths
)


class RecallOptions(TaskOptions):
    symbols: int = 3


class Recall(AbstractTask):
    """Which symbol came first?

    One-hot symbols at random; the target at the last step is the first of them.
    """

    Options = RecallOptions
    default_timesteps = (2, 4)
    loss = "cross_entropy"

    def __init__(self, options):
        super().__init__(options)
        self.input_features = self.output_features = options.symbols

    def sample(self, rng, *, batch_size, timesteps):
        lengths = draw_lengths(rng, batch_size, timesteps)
        symbols = rng.integers(0, self.options.symbols, size=(batch_size, timesteps[1]))
        inputs = np.eye(self.options.symbols)[symbols] * within_lengths(lengths, timesteps[1])[:, :, None]
        return Batch(inputs, symbols[:, 0], last_step_mask(lengths, timesteps[1]), lengths)

    def references(self, timesteps):
        count = self.options.symbols
        return (Reference("all equally likely", float(np.log(count)), always(*[0.0] * count)),)
'''
CONFIG = """\
task: {type: tasks/my_task.py:Recall, symbols: 2}
cell: {units: 3}
training: {steps: 4, batch_size: 4, evaluate_every: 2}
evaluation: {sequences: 8}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, and the task in a folder below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("RNNLAB_RUNS", "runs")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/my_task.py").write_text(RECALL)
    (tmp_path / "x.yaml").write_text(CONFIG)
    return tmp_path


def test_all_that_a_task_can_do(folder: Path) -> None:
    assert rnnlab("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    assert rnnlab("train", "--resume", "runs/one", "--set", "training.steps=6", "-q").code == 0
    assert rnnlab("train", "x.yaml", "--into", "runs/two", "-q", "--set", "training.steps=6").code == 0
    one, two = (package.open_run(folder / "runs" / name) for name in ("one", "two"))
    np.testing.assert_array_equal(one.weights("last")["layers.0.U"], two.weights("last")["layers.0.U"])
    for command in (
        ["evaluate", "runs/one"], ["diagnose", "runs/one", "--only", "spectrum"], ["doctor", "runs/one"],
        ["export", "runs/one", "--format", "npz"], ["report", "runs", "--out", "r.html"], ["show", "runs/one"],
        ["verify", "x.yaml", "--steps", "2"], ["tasks", "tasks/my_task.py:Recall"],
    ):  # fmt: skip
        done = rnnlab(*command)
        assert done.code == 0, (command, done.stderr)
    assert (folder / "runs/one/task.py").read_text() == RECALL
    summary = one.summary
    assert (summary.task, summary.solved, summary.solved_rule) == ("Recall", None, "none")
    assert summary.baseline == pytest.approx(0.693147, abs=1e-6)
    assert {"loss", "error_rate"} == summary.metrics.keys()
    compared = rnnlab("compare", "runs/one", "runs/two")
    assert "my_task" not in compared.stdout.partition("Results")[2]
    assert "not comparable" not in compared.stderr + compared.stdout


def test_a_sweep_over_it_and_a_built_in_task(folder: Path) -> None:
    """Its workers are processes of their own, which import the file again."""
    axes = 'sweep: {axes: {task: ["tasks/my_task.py:Recall", {type: "tasks/my_task.py:Recall", symbols: 2}, parity]}}\n'
    (folder / "s.yaml").write_text(CONFIG.partition("\n")[2] + axes)
    done = rnnlab("sweep", "s.yaml", "--into", "runs/s", "-q", "--workers", "1")
    assert done.code == 0, done.stderr
    found = rnnlab("list", "s").stdout
    assert " Recall " in found
    assert " parity " in found


@pytest.mark.parametrize("engine", ["tensorflow", "jax", "torch"])
def test_it_is_trained_by_keras(folder: Path, engine: str) -> None:
    """As by NumPy, on every engine; in a process of its own, for Keras keeps one engine."""
    pytest.importorskip("keras")
    pytest.importorskip(engine)
    done = child("train", "x.yaml", "--into", "runs/one", "-q", "--set", "backend=keras", "--set", f"engine={engine}")
    assert done.code == 0, done.stderr


WRONG = {
    "no such class": ("class Recall(", "class Recal(", "did you mean 'Recal'?"),
    "no task": ("(AbstractTask)", "", "AbstractTask"),
    "no baseline": ("def references", "def reference", "Recall has no references"),
    "no sample": ("def sample", "def draw", "Recall has no sample"),
    "no loss": ("    loss =", "    lose =", "Recall has no loss, expected one of mse"),
    "an unknown loss": ('"cross_entropy"', '"crossentropy"', "did you mean 'cross_entropy'?"),
    "no lengths": (
        "default_timesteps = (2, 4)",
        "default_timesteps = 4",
        "default_timesteps is 4, expected the shortest",
    ),
    "no features": ("self.input_features = ", "", "has no input_features, expected a number of inputs"),
    "an error": ("symbols[:, 0]", "symbols[:, 9]", "my_task.py:30: IndexError"),
    "an error at the start": ("options.symbols\n\n", "options.symbol\n\n", "my_task.py:24: AttributeError"),
    "other arguments": ("rng, *, batch_size, timesteps", "rng, size", "my_task.py:26: `sample` TypeError"),
    "no batch": ("return Batch", "Batch", "my_task.py:26: `sample` returns None, expected a Batch"),
    "a shape": ("symbols[:, 0]", "symbols[:, :1]", "returns targets of shape (4, 1), expected (B): (4,)"),
    "a dtype": ("* within", ".astype(int) * within", "returns inputs of int64, expected float64"),
    "a mask of integers": ("timesteps[1]), lengths)", "timesteps[1]) * 1, lengths)", "convert them: mask.astype(bool)"),
    "an option changed": (
        "options.symbols\n\n",
        "options.symbols\n        options.symbols = 3\n\n",
        "my_task.py:25: ValidationError: the option symbols cannot be changed — fix this line",
    ),
    "a class too high": ("symbols[:, 0]", "symbols[:, 0] + 1", "returns classes from 1 to 2, expected 0 to 1"),
    "real classes": ("symbols[:, 0]", "symbols[:, 0] / 1.0", "returns targets of float64, expected integers"),
    "a nan": ("Batch(inputs", "Batch(inputs + np.nan", "returns inputs that are not finite"),
    "beyond the end": (" * within_lengths(lengths, timesteps[1])[:, :, None]", "", "returns inputs beyond the length"),
    "every step": ("last_step_mask(", "within_lengths(", "returns a mask with other steps than the last"),
    "lengths": (
        "mask(lengths, timesteps[1]), lengths",
        "mask(lengths, timesteps[1]), lengths * 0",
        "returns lengths [0]",
    ),
    "other numbers": ("rng.integers(0, s", "np.random.default_rng().integers(0, s", "returns other inputs when it is"),
    "no tuple": ("count)),)", "count)))", "my_task.py:32: `references` returns a Reference, expected a tuple"),
    "with memory": ("count)),)", "count), True),)", "returns no reference predictor without memory"),
    "not finite": ("float(np.log(count))", "np.inf", "the loss inf"),
    "outputs": ("*[0.0] * count", "0.0", "predicts with 'all equally likely' shape (4, 1), expected (B, O): (4, 2)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_mistake_is_one_message_with_its_place(folder: Path, case: str) -> None:
    old, new, expected = WRONG[case]
    assert old in RECALL
    (folder / "tasks/my_task.py").write_text(RECALL.replace(old, new))
    done = rnnlab("check", "x.yaml")
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "x.yaml:1" in done.stderr
    assert expected in done.stderr
    assert not (folder / "runs").exists()


def test_a_mistake_that_only_training_meets_has_its_line(folder: Path) -> None:
    late = RECALL.replace("symbols[:, 0]", "symbols[:, [0, 9][batch_size == 8]]")  # that of the validation set
    (folder / "tasks/my_task.py").write_text(late)
    done = rnnlab("train", "x.yaml", "-q")
    assert done.code == 2
    assert "my_task.py:30: IndexError" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("mask, lengths * 10**7", "returns lengths from 20000000 to 40000000, expected 1 to 4"),
        ("mask[:, :1], lengths", "returns other shapes for 4,096 sequences"),
    ],
    ids=["lengths", "shapes"],
)
def test_wrong_arrays_that_only_training_meets_are_not_read_by_machine_code(
    folder: Path, wrong: str, expected: str
) -> None:
    late = RECALL.replace(
        "        return Batch(inputs, symbols[:, 0], last_step_mask(lengths, timesteps[1]), lengths)",
        "        mask = last_step_mask(lengths, timesteps[1])\n"
        "        if batch_size > 100:\n"
        f"            return Batch(inputs, symbols[:, 0], {wrong})\n"
        "        return Batch(inputs, symbols[:, 0], mask, lengths)",
    )
    (folder / "tasks/my_task.py").write_text(late)
    done = rnnlab("train", "x.yaml", "-q", "--set", "numpy.compiled=true")
    assert done.code == 2
    assert f"my_task.py:26: `sample` {expected}" in done.stderr


SPY = RECALL + "\nfrom pathlib import Path\n\nPath('executed').write_text('')\n"


@pytest.fixture
def spied(folder: Path) -> Path:
    """Two runs of a task whose file leaves a trace when it is imported; this process has not imported it."""
    (folder / "tasks/my_task.py").write_text(SPY)
    for name in ("one", "two"):
        assert child("train", "x.yaml", "--into", f"runs/{name}", "-q").code == 0
    (folder / "executed").unlink()
    return folder


def test_commands_that_only_read_import_nothing(spied: Path) -> None:
    for command in (["list"], ["show", "one"], ["doctor", "one"], ["compare", "one", "two"]):
        done = rnnlab(*command)
        assert done.code == 0, (command, done.stdout, done.stderr)
        assert not (spied / "executed").exists(), command
    assert rnnlab("evaluate", "one").code == 0
    assert (spied / "executed").exists()


def test_a_file_that_was_changed_or_moved_is_run_only_when_named(spied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(spied / "tasks/my_task.py", spied / "own.py")
    (spied / "tasks/my_task.py").write_text(SPY + "# changed\n")
    done = rnnlab("evaluate", "one")
    assert done.code == 2
    assert "was changed: SHA-256" in done.stderr
    assert not (spied / "executed").exists()
    monkeypatch.setenv(VARIABLE, "own.py")
    assert rnnlab("evaluate", "one").code == 0
    assert rnnlab("train", "--resume", "runs/one", "--set", "training.steps=6", "-q").code == 0


def test_a_run_with_a_file_of_data(folder: Path) -> None:
    """The file is found from the run's folder, and has no part in what identifies the experiment but its content."""
    source = RECALL.replace(
        "    symbols: int = 3\n", '    symbols: int = 3\n    data: DataFile = DataFile(path="d.txt")\n'
    )
    (folder / "tasks/my_task.py").write_text("from rnnlab.core.data_file import DataFile\n" + source)
    (folder / "d.txt").write_text("content")
    assert child("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    assert rnnlab("doctor", "runs/one").code == 0
    done = rnnlab("evaluate", "runs/one")
    assert done.code == 0, done.stderr
    (folder / "d.txt").write_text("other")
    assert rnnlab("evaluate", "runs/one").code != 0


OTHERS = """\
from rnnlab.optim.rules.base import AbstractOptimizer, OptimizerOptions
from rnnlab.optim.schedules.base import AbstractSchedule


class SignOptions(OptimizerOptions):
    learning_rate: float = 0.125


class Sign(AbstractOptimizer):
    Options = SignOptions

    def slot_names(self):
        return ()

    def numbers(self, step, learning_rate):
        return {"rate": learning_rate}

    def move(self, xp, at, numbers):
        rate = numbers["rate"]
        return {"parameters": at["parameters"] - xp.where(at["gradients"] > 0, rate, -rate)}


class Halving(AbstractSchedule):
    def decay(self, step):
        return 0.5**step
"""


def test_an_update_rule_and_a_schedule_too(folder: Path) -> None:
    """After two steps of 1/8 and 1/16, every weight is off by their sum or their difference."""
    (folder / "own.py").write_text(OTHERS)
    (folder / "y.yaml").write_text(
        "task: parity\ncell: {units: 2}\n"
        "training: {steps: 2, batch_size: 4, optimizer: ./own.py:Sign, schedule: ./own.py:Halving}\n"
    )
    assert rnnlab("train", "y.yaml", "--into", "runs/y", "-q").code == 0
    run = package.open_run(folder / "runs/y")
    moved = run.weights("last")["layers.0.U"] - run.experiment().network().draw(0)["layers.0.U"]
    assert np.isin(np.abs(moved).round(6), [1 / 16, 3 / 16]).all()
    assert {"optimizer.py", "schedule.py"} <= {path.name for path in run.path.iterdir()}
    assert rnnlab("doctor", "runs/y").code == 0
    (folder / "own.py").write_text(OTHERS.replace("return ()", "return 1 / 0"))
    done = rnnlab("check", "y.yaml")
    assert done.code == 2
    assert "own.py:13: ZeroDivisionError" in done.stderr
