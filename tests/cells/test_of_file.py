"""A user's cell in a file of his own, named by path: all that a built-in cell can do, safely."""

import os
import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab as package
from rnnlab.cells import CELLS
from rnnlab.core.code_files import VARIABLE, CodeFile
from rnnlab.core.errors import UsageError
from rnnlab.core.own_classes import _own
from rnnlab.core.parameters import Orthogonal, Parameter, draw_parameters
from tests.cells.leaky import LEAKY
from tests.cli.program import child, rnnlab

CONFIG = """\
task: adding
cell: {type: "cells/my_cell.py:Leaky", units: 3, leak: 0.5}
shape: {timesteps: 6}
training: {steps: 4, batch_size: 4, evaluate_every: 2}
evaluation: {sequences: 8}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, and the cell in a folder below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("RNNLAB_RUNS", "runs")
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/my_cell.py").write_text(LEAKY)
    (tmp_path / "x.yaml").write_text(CONFIG)
    return tmp_path


def test_it_computes_its_equation(folder: Path) -> None:
    """By hand: h = 0.7·0 + 0.3·tanh(1) and then 0.7·h + 0.3·tanh(h)."""
    kind = CELLS.get(str(CodeFile.of("cells/my_cell.py:Leaky").located(folder)))
    cell = kind(kind.Options(units=1))
    p = {"W": np.ones((1, 1)), "U": np.ones((1, 1)), "b": np.zeros(1)}
    one = cell.step(np, p, np.array([[1.0]]), {"h": np.zeros((1, 1))})
    two = cell.step(np, p, np.array([[0.0]]), one.state)
    np.testing.assert_allclose(one.output, 0.3 * 0.761594155956, atol=1e-12)
    np.testing.assert_allclose(two.output, 0.7 * one.output + 0.3 * np.tanh(one.output), atol=1e-15)


def test_all_that_a_cell_can_do(folder: Path) -> None:
    (folder / "base").mkdir()
    (folder / "base/base.yaml").write_text(CONFIG.replace("cells/", "../cells/"))
    (folder / "y.yaml").write_text("extends: base/base.yaml\ntraining: {steps: 6}\n")
    assert rnnlab("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    assert rnnlab("train", "--resume", "runs/one", "--set", "training.steps=6", "-q").code == 0
    assert rnnlab("train", "y.yaml", "--into", "runs/two", "-q").code == 0
    one, two = (package.open_run(folder / "runs" / name) for name in ("one", "two"))
    np.testing.assert_array_equal(one.weights("last")["layers.0.U"], two.weights("last")["layers.0.U"])
    for command in (
        ["evaluate", "runs/one"], ["diagnose", "runs/one", "--only", "spectrum"], ["doctor", "runs/one"],
        ["export", "runs/one", "--format", "npz"], ["report", "runs", "--out", "r.html"], ["show", "runs/one"],
    ):  # fmt: skip
        done = rnnlab(*command)
        assert done.code == 0, (command, done.stderr)
    assert (folder / "runs/one/cell.py").read_text() == LEAKY
    assert "Leaky" in rnnlab("list").stdout
    compared = rnnlab("compare", "runs/one", "runs/two").stdout
    assert "my_cell" not in compared.partition("Results")[2]


def test_a_sweep_over_it_and_a_built_in_cell(folder: Path) -> None:
    """Its workers are processes of their own, which import the file again."""
    text = CONFIG.replace("leak: 0.5", "leak: 0.25")
    axes = 'sweep: {axes: {cell: [{type: "cells/my_cell.py:Leaky", units: 2}, {type: simple, units: 2}]}}\n'
    (folder / "s.yaml").write_text(text.replace(", units: 3, leak: 0.25", "") + axes)
    done = rnnlab("sweep", "s.yaml", "--into", "runs/s", "-q", "--workers", "1")
    assert done.code == 0, done.stderr
    found = rnnlab("list", "s").stdout
    assert " Leaky " in found
    assert " simple " in found


WRONG = {
    "no such file": ("cells/other.py:Leaky", LEAKY, "no such file"),
    "no such class": ("cells/my_cell.py:Leak", LEAKY, "did you mean 'Leaky'?"),
    "no class": ("cells/my_cell.py", LEAKY, "names no class"),
    "no cell": ("cells/my_cell.py:Leaky", "class Leaky:\n    pass\n", "AbstractCell"),
    "an error": ("cells/my_cell.py:Leaky", f"import math\nmath.none\n{LEAKY}", "my_cell.py:2"),
    "an exit": ("cells/my_cell.py:Leaky", f"raise SystemExit(3)\n{LEAKY}", "my_cell.py:1"),
    "no Python": ("cells/my_cell.py:Leaky", "class Leaky(\n", "my_cell.py:1"),
    "no step": ("cells/my_cell.py:Leaky", LEAKY.replace("def step", "def walk"), "has no step"),
    "no states": ("cells/my_cell.py:Leaky", LEAKY.replace("states =", "parts ="), "has no `states`"),
    **{
        name: ("cells/my_cell.py:Leaky", LEAKY.replace(old, new), f"my_cell.py:{expected}")
        for name, old, new, expected in [
            ("no Step", "return Step(", "Step(", "22: `step` returns None, expected rnnlab.cells.base.Step"),
            ("a tuple", "return Step(output=h, state={", "return (h, {", "22: `step` returns a tuple, expected"),
            ("no state", 'state={"h": h}', "state={}", "22: `step` returns as states none; expected 'h'"),
            ("another state", 'state={"h": h}', 'state={"c": h}', "22: `step` returns as states 'c'; expected 'h'"),
            ("no parameters", "return {", "_ = {", "14: `parameters` returns None, expected a dict"),
            ("no parameter", 'Parameter((units,), "bias")', "(units,)", "14: `parameters` has a tuple as 'b'"),
            ("no sizes", "(units,)", "()", "19: ValueError: expected (in, out) or (out,) as shape"),
            ("three sizes", "(units, units)", "(units, units, units)", "18: ValueError: expected (in, out)"),
            ("a float", "(units,)", "(units / 1,)", "19: ValueError: expected (in, out) or (out,) as shape"),
            ("a number", "(units,)", "units", "19: ValueError: expected (in, out) or (out,) as shape"),
            ("no role", '"bias"', '"offset"', "19: ValueError: expected a role of kernel, recurrent_kernel, bias"),
            ("by zero", "leak * new", "new / 0", "25: an equation cannot have a division by zero"),
            ("zero by zero", "leak * new", "xp.ones_like(h) / 0", "25: an equation cannot have a division by zero"),
        ]
    },
    "another operation": ("cells/my_cell.py:Leaky", LEAKY.replace("(1 - leak) * h", "xp.roll(h, 1)"), "xp.roll"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_mistake_is_one_message_with_its_place(folder: Path, case: str) -> None:
    name, source, expected = WRONG[case]
    (folder / "cells/my_cell.py").write_text(source)
    (folder / "x.yaml").write_text(CONFIG.replace("cells/my_cell.py:Leaky", name))
    done = rnnlab("check", "x.yaml")
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "x.yaml:2" in done.stderr
    assert expected in done.stderr
    assert not (folder / "runs").exists()


LATE = '_ = hasattr(inputs, "__len__") and 1 / 0\n        p, h, leak ='  # of an array, not when it is traced


def test_an_error_in_a_step_has_its_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    (folder / "cells/my_cell.py").write_text(LEAKY.replace('p["b"])', 'p["bias"])'))
    done = rnnlab("check", "x.yaml")
    line = next(n for n, text in enumerate(LEAKY.splitlines(), 1) if 'p["b"])' in text)
    assert done.code == 2
    assert f"my_cell.py:{line}: KeyError: 'bias'" in done.stderr
    (folder / "cells/my_cell.py").write_text(LEAKY.replace("p, h, leak =", LATE))
    assert rnnlab("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    done = rnnlab("diagnose", "runs/one")
    assert done.code == 2
    assert "my_cell.py:23: ZeroDivisionError" in done.stderr
    assert not [*folder.glob("rnnlab-bug-*")]


def test_a_vector_that_the_state_is_multiplied_with(folder: Path) -> None:
    """It is drawn from U[-1, 1], of variance 1/3, whatever draws the matrices."""
    source = LEAKY.replace("(units, units)", "(units,)").replace('xp.matmul(h, p["U"])', 'h * p["U"]')
    (folder / "cells/my_cell.py").write_text(source)
    assert rnnlab("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    many = {"u": Parameter((40_000,), "recurrent_kernel")}
    drawn = draw_parameters(many, initializers={"recurrent_kernel": Orthogonal()}, seed=3, dtype="f8")["u"]
    assert 0.999 < np.abs(drawn).max() <= 1
    assert drawn.var() == pytest.approx(1 / 3, rel=0.02)


def test_commands_say_what_is_not_known_of_it(folder: Path) -> None:
    assert rnnlab("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    done = rnnlab("plot", "runs/one", "--kind", "gates")
    assert done.code == 2
    assert "declares no gates" in done.stderr
    assert "gates" not in rnnlab("diagnose", "runs/one", "--json").stdout
    assert "declares no gates" in rnnlab("diagnose", "runs/one", "--only", "gates").stderr
    found = rnnlab("diagnose", "runs/one", "--only", "fixed-points").stdout
    assert "without bound" not in found
    assert "not known" in " ".join(found.split())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_it_is_a_keras_layer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes the equation, is saved, and is loaded by a process that has not imported the file, if it may."""
    keras = pytest.importorskip("keras")
    from rnnlab.backends.keras import layers

    model = keras.Sequential([keras.Input((2, 1)), layers.EquationRNN("./cells/my_cell.py:Leaky", 3, leak=0.5)])
    w, u, b = model.get_weights()
    x = np.array([[[1.0], [-2.0]]])
    h = 0.5 * np.tanh(x[:, 0] @ w + b)
    h = 0.5 * h + 0.5 * np.tanh(x[:, 1] @ w + h @ u + b)
    np.testing.assert_allclose(model.predict(x, verbose=0), h, rtol=1e-5)
    model.save(folder / "m.keras")
    name = model.layers[0].get_config()["cell"]

    def load() -> Any:
        monkeypatch.delitem(sys.modules, CodeFile.of(name).module, raising=False)
        _own.cache_clear()
        return keras.saving.load_model(folder / "m.keras")

    np.testing.assert_allclose(load().predict(x, verbose=0), h, rtol=1e-5)
    (folder / "cells/my_cell.py").write_text(LEAKY + "# changed\n")
    with pytest.raises(UsageError, match="was changed"):
        load()
    for kind in (layers.EquationRNN, layers.EquationCell):
        with pytest.raises(UsageError, match="without the SHA-256"):
            kind.from_config({"cell": "./cells/my_cell.py:Leaky", "units": 3})


SPY = LEAKY + "\nfrom pathlib import Path\n\nPath('executed').write_text('')\n"
READING = (["list"], ["show", "one"], ["doctor", "one"], ["compare", "one", "two"])


@pytest.fixture
def spied(folder: Path) -> Path:
    """A run of a cell whose file leaves a trace when it is imported; the next process has not imported it."""
    (folder / "cells/my_cell.py").write_text(SPY)
    train_elsewhere(folder, "one")
    return folder


def train_elsewhere(folder: Path, name: str) -> None:
    assert child("train", "x.yaml", "--into", f"runs/{name}", "-q").code == 0
    (folder / "executed").unlink()


def test_commands_that_only_read_import_nothing(spied: Path) -> None:
    train_elsewhere(spied, "two")
    for command in READING:
        assert rnnlab(*command).code == 0, command
        assert not (spied / "executed").exists(), command
    assert rnnlab("evaluate", "one").code == 0
    assert (spied / "executed").exists()


def test_a_changed_file_is_not_imported(spied: Path) -> None:
    (spied / "cells/my_cell.py").write_text(SPY + "# changed\n")
    done = rnnlab("evaluate", "one")
    assert done.code == 2
    assert "was changed: SHA-256" in done.stderr
    assert rnnlab("report", "runs", "--out", "r.html").code == 0
    assert not (spied / "executed").exists()


@pytest.mark.parametrize("more", [[], ["--set", "shape.timesteps=7"]])
def test_a_run_that_names_a_file_without_its_hash_is_damaged(spied: Path, more: list[str]) -> None:
    run = package.open_run(spied / "runs/one").folder
    data = run.read_resolved()
    data["cell"]["type"] = str(spied / "cells/my_cell.py:Leaky")
    run.write_resolved(data, run.read_status().id)
    done = rnnlab("evaluate", "one", *more)
    assert done.code == 4
    assert "no SHA-256" in done.stderr
    assert not (spied / "executed").exists()


def hostile(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where a stored run finds its file: in a place that anyone who wrote the run may have chosen."""
    if kind == "in the run":
        shutil.copy(folder / "cells/my_cell.py", path := folder / "runs/one/evil.py")
        return path
    if kind == "by a link":
        (folder / "link.py").symlink_to("cells/my_cell.py")
        return folder / "link.py"
    if kind == "of another user":
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        os.chown(folder / "cells/my_cell.py", 23456, -1)
        return folder / "cells/my_cell.py"
    return Path("/proc/self/cwd/cells/my_cell.py")


@pytest.mark.parametrize("kind", ["in the run", "by a link", "of another user", "relative to the process"])
def test_a_run_cannot_choose_what_is_executed(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "of another user" and os.geteuid():
        pytest.skip("only root can give a file to another user")
    (folder / "cells/my_cell.py").write_text(SPY)
    (folder / "runs/one").mkdir(parents=True)
    for name in ("status.json", "resolved.yaml"):
        (folder / "runs/one" / name).write_text("")
    digest = sha256((folder / "cells/my_cell.py").read_bytes()).hexdigest()
    evil = CodeFile(hostile(folder, kind, monkeypatch), "Leaky", digest)
    with pytest.raises(UsageError, match="RNNLAB_CODE"):
        evil.load()
    assert not (folder / "executed").exists()


def test_a_file_elsewhere_is_named_by_the_environment(spied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(spied / "cells", spied / "moved")
    assert rnnlab("evaluate", "one").code == 2
    monkeypatch.setenv(VARIABLE, "moved/my_cell.py")
    assert rnnlab("evaluate", "one").code == 0


def test_the_cell_of_a_project_that_was_moved_is_named_and_not_run(
    spied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The author of a run chooses its hash too, so a file beside it is not run unasked."""
    (spied / "project").mkdir()
    for name in ("cells", "runs", "x.yaml"):
        shutil.move(spied / name, spied / "project" / name)
    monkeypatch.chdir(spied / "project")
    assert rnnlab("doctor", "runs/one").code == 0
    done = child("evaluate", "runs/one")
    assert done.code == 2
    assert "RNNLAB_CODE=cells/my_cell.py" in done.stderr
    assert not (spied / "executed").exists()
    assert not (spied / "project/executed").exists()
    monkeypatch.setenv(VARIABLE, "cells/my_cell.py")
    for command in (
        ["evaluate", "runs/one"],
        ["export", "runs/one", "--format", "npz", "--out", "one.npz"],
        ["evaluate", "runs/one", "--set", "seed=3"],
        ["train", "--resume", "runs/one", "--set", "training.steps=6", "-q"],
    ):
        done = child(*command)
        assert done.code == 0, done.stderr


def test_all_files_of_a_project_that_was_moved_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "project/cells").mkdir(parents=True)
    task = "import rnnlab.tasks.adding as a\n\n\nclass Own(a.TASKS[0]):\n    name = 'own'\n"
    (folder / "cells/my_task.py").write_text(task)
    own = CONFIG.replace("task: adding", 'task: {type: "cells/my_task.py:Own"}')
    (folder / "x.yaml").write_text(own)
    done = child("train", "x.yaml", "--into", "project/one", "-q")
    assert done.code == 0, done.stderr
    for name in ("my_cell.py", "my_task.py"):
        shutil.move(folder / "cells" / name, folder / "project/cells")
    monkeypatch.chdir(folder / "project")
    done = child("evaluate", "one")
    places = os.pathsep.join(("cells/my_cell.py", "cells/my_task.py"))
    assert (done.code, f"{VARIABLE}={places} rnnlab" in done.stderr) == (2, True), done.stderr
    monkeypatch.setenv(VARIABLE, "nope")
    done = child("evaluate", "one")
    assert f"nope: no such file — {VARIABLE} has files, without a class" in done.stderr
    monkeypatch.setenv(VARIABLE, places)
    assert child("evaluate", "one").code == 0


def test_a_file_that_imports_one_beside_it_is_told_so(folder: Path) -> None:
    (folder / "cells/helper_mod.py").write_text("")
    (folder / "cells/my_cell.py").write_text("import helper_mod\n" + LEAKY)
    done = rnnlab("check", "x.yaml")
    assert done.code == 2
    assert "my_cell.py:1: cannot be imported: ModuleNotFoundError: No module named 'helper_mod'" in done.stderr
    assert "must be complete in itself" in done.stderr


def test_the_card_of_a_cell_without_equations_has_no_gap(folder: Path) -> None:
    assert "\n\n\n" not in rnnlab("cells", "cells/my_cell.py:Leaky").stdout


def test_two_cells_of_one_name_are_told_apart_by_their_hash(folder: Path) -> None:
    assert rnnlab("train", "x.yaml", "--into", "runs/one", "-q").code == 0
    (folder / "cells/my_cell.py").write_text(LEAKY + "# changed\n")
    assert rnnlab("train", "x.yaml", "--into", "runs/two", "-q").code == 0
    digests = [sha256((LEAKY + more).encode()).hexdigest()[:7] for more in ("", "# changed\n")]
    differences = rnnlab("compare", "runs/one", "runs/two").stdout.partition("Results")[0]
    assert all(f"Leaky@{one}" in differences for one in digests)
    assert str(folder) not in differences
