"""Registries: the folder is the list, and other packages add members without a change to rnnlab."""

import sys
from pathlib import Path

import numpy as np
import pytest

import rnnlab
from rnnlab.backends import BACKENDS
from rnnlab.cells import CELLS
from rnnlab.config.experiment import config_schema
from rnnlab.core.errors import EnvironmentFault, UsageError
from rnnlab.core.registry import Registry, _plug_ins
from rnnlab.tasks import TASKS, task_class, task_names
from tests.cli.program import rnnlab as rnnlab_program

CELL = '''
from typing import Literal
from rnnlab.cells.simple import Simple, SimpleOptions

class MirrorOptions(SimpleOptions):
    type: Literal["mirror"] = "mirror"

class Mirror(Simple):
    """The simple cell with its input turned round."""
    name = "mirror"
    Options = MirrorOptions

    def step(self, xp, parameters, inputs, state):
        return super().step(xp, parameters, -inputs, state)
'''
TASK = """
from typing import Literal
from rnnlab.tasks.parity import Parity, ParityOptions

class EvenOptions(ParityOptions):
    type: Literal["evenness"] = "evenness"

class Evenness(Parity):
    name = "evenness"
    Options = EvenOptions

    def __init__(self, options):
        self.scale = 0.0
        super().__init__(options)

TASKS = (Evenness,)
"""
DIAGNOSIS = """
from rnnlab.inspection.diagnoses.base import AbstractDiagnosis

class Size(AbstractDiagnosis):
    def compute(self, inspected):
        return sum(array.size for array in inspected.arrays.values())

    def sentences(self, found):
        return [f"The network has {found} parameters."]

DIAGNOSIS = Size()
"""


OWN = CELLS.names()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a distribution on the path: its entry points, and a module of its own."""

    def put(package: str, entry_points: str, source: str = "") -> None:
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entry_points)
        (tmp_path / f"{package}.py").write_text(source)
        _plug_ins.cache_clear()

    monkeypatch.syspath_prepend(str(tmp_path))
    return put


def test_the_folder_is_the_list() -> None:
    for registry in (CELLS, TASKS):
        files = {path.stem for path in Path(rnnlab.__file__).parent.joinpath(registry.kind + "s").glob("*.py")}
        assert registry.names() == sorted(name for name in files - {"base"} if not name.startswith("_"))
    assert {"simple", "carry"} <= set(CELLS.names())
    assert "numpy" in BACKENDS.names()  # a folder is a member as well as a file


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("simpel", "did you mean 'simple'?"),
        ("Carry", "did you mean 'carry'?"),
        ("zebra", f"known: {', '.join(OWN)}"),
        ("base", f"known: {', '.join(OWN)}"),
        ("../simple", "did you mean 'simple'?"),
        ("", f"known: {', '.join(OWN)}"),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        CELLS.get(name)
    assert (caught.value.problem, caught.value.hint) == (f"unknown cell {name!r}", hint)


def test_a_cell_and_a_task_of_other_packages_are_members(install, tmp_path: Path) -> None:
    install("lab_mirror", "[rnnlab.cells]\nmirror = lab_mirror:Mirror\n", CELL)
    install("lab_evenness", "[rnnlab.tasks]\nevenness = lab_evenness:TASKS\n", TASK)
    assert CELLS.names() == sorted([*OWN, "mirror"])
    assert task_class("evenness").name == "evenness"
    config = {
        "cell": {"type": "mirror", "units": 3},
        "task": "evenness",
        "shape": {"timesteps": 3},
        "training": {"steps": 2, "batch_size": 4},
        "evaluation": {"sequences": 8},
    }
    run = rnnlab.train(config, runs=tmp_path / "runs")
    assert (run.state, run.summary.cell, run.summary.task) == ("completed", "mirror", "evenness")
    inputs = np.ones((1, 1, 1))
    first = run.model("last").predict(inputs, states=True).states["layers.0.h"][0, 0]
    weights = run.weights("last")
    np.testing.assert_allclose(first, np.tanh(weights["layers.0.b"] - weights["layers.0.W"][0]), atol=1e-6)


def test_a_run_of_a_package_that_is_no_longer_installed_names_it(install, tmp_path: Path) -> None:
    """That is no damage: its files are whole, and once the package is back the run is used again."""
    install("lab_gone", "[rnnlab.cells]\nmirror = lab_gone:Mirror\n", CELL)
    config = {"task": "parity", "cell": {"type": "mirror", "units": 3}, "training": {"steps": 1}}
    run = rnnlab.train(config, runs=tmp_path / "runs")
    (tmp_path / "lab_gone-1.0.dist-info").rename(tmp_path / "elsewhere")
    _plug_ins.cache_clear()
    for command in (["evaluate"], ["export", "--format", "npz"], ["train", "--resume"], ["diagnose"]):
        answer = rnnlab_program(*command, run.path)
        assert (answer.code, answer.stdout) == (5, "")
        assert "resolved.yaml:" in answer.stderr
        assert "unknown cell 'mirror'" in answer.stderr
        assert "trained with lab_gone 1.0: install" in answer.stderr
        assert "damaged" not in answer.stderr
    examined = rnnlab_program("doctor", run.path)
    assert (examined.code, "lab_gone 1.0" in " ".join(examined.stdout.split())) == (0, True)
    (tmp_path / "elsewhere").rename(tmp_path / "lab_gone-1.0.dist-info")
    _plug_ins.cache_clear()
    assert rnnlab_program("evaluate", run.path).code == 0


def test_a_diagnosis_of_another_package_is_a_member(install, tmp_path: Path) -> None:
    install("lab_size", "[rnnlab.inspection.diagnoses]\nsize = lab_size:DIAGNOSIS\n", DIAGNOSIS)
    run = rnnlab.train({"task": "parity", "cell": {"units": 3}, "training": {"steps": 1}}, runs=tmp_path / "runs")
    parameters = sum(array.size for array in run.weights().values())
    assert rnnlab.diagnose(run)["size"] == parameters
    answer = rnnlab_program("diagnose", run.path, "--only", "size")
    assert (answer.code, answer.stdout.splitlines()[-1]) == (0, f"The network has {parameters} parameters.")


def test_a_mistake_in_a_plug_in_is_not_reported_as_a_bug_of_rnnlab(install, tmp_path: Path) -> None:
    source = TASK + "\n    def sample(self, rng, *, batch_size, timesteps):\n        return 1 / 0\n"
    body, _, end = source.partition("TASKS = (Evenness,)")
    install("lab_wrong", "[rnnlab.tasks]\nevenness = lab_wrong:TASKS\n", f"{body}{end}\nTASKS = (Evenness,)")
    config = tmp_path / "x.yaml"
    config.write_text("task: evenness\ntraining: {steps: 1}\n")
    answer = rnnlab_program("train", config, "--runs", tmp_path / "runs")
    assert answer.code == 5
    assert "the plug-in 'evenness' of package 'lab_wrong' failed: ZeroDivisionError" in answer.stderr
    assert "lab_wrong.py:" in answer.stderr
    assert "bug" not in answer.stderr.partition(": the traceback")[0].partition("; the traceback")[0]


def test_a_member_in_the_folder_comes_before_an_entry_point(install) -> None:
    install("lab_namesake", "[rnnlab.cells]\nsimple = lab_namesake:Nothing\n")
    assert CELLS.get("simple").__module__ == "rnnlab.cells.simple"


def test_a_broken_plug_in_breaks_nothing_else(install) -> None:
    install("lab_broken", "[rnnlab.cells]\nbroken = lab_broken:Missing\nabsent = no_such_module:CELL\n")
    assert CELLS.names() == sorted([*OWN, "absent", "broken"])
    assert CELLS.get("carry").name == "carry"
    with pytest.raises(EnvironmentFault) as caught:
        CELLS.get("absent")
    assert caught.value.problem == (
        "cannot load the cell 'absent' of package 'lab_broken': ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert caught.value.hint == "fix, upgrade or uninstall lab_broken"
    with pytest.raises(EnvironmentFault, match="AttributeError: module 'lab_broken' has no attribute 'Missing'"):
        CELLS.get("broken")
    assert [name for name in CELLS.members() if name not in OWN] == []
    assert [str(fault).split(": ")[0] for fault in CELLS.broken()] == [
        "cannot load the cell 'absent' of package 'lab_broken'",
        "cannot load the cell 'broken' of package 'lab_broken'",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("TASKS = 3", "TypeError: 'int' object is not iterable"),
        ("TASKS = (3,)", "TypeError: 3 is not a subclass of rnnlab.tasks.base.AbstractTask"),
        ("TASKS = (int,)", "TypeError: int is not a subclass of rnnlab.tasks.base.AbstractTask"),
        ("from rnnlab.tasks.parity import TASKS", "ValueError: the task is called 'parity'"),
    ],
)
def test_a_plug_in_that_is_not_a_task_is_left_out(install, source: str, expected: str) -> None:
    before = task_names()
    install("lab_odd", "[rnnlab.tasks]\nodd = lab_odd:TASKS\n", source)
    sys.modules.pop("lab_odd", None)
    assert task_names() == before
    assert [fault.problem for fault in TASKS.broken()] == [
        f"cannot load the task 'odd' of package 'lab_odd': {expected}"
    ]
    assert config_schema()["properties"]["task"]


def test_a_task_that_cannot_be_shown_is_left_out_of_the_table(install) -> None:
    needy = TASK.replace('"evenness"', '"needy"')
    install("lab_needy", "[rnnlab.tasks]\nneedy = lab_needy:TASKS\n", needy.replace("0.0", "1 / 0"))
    sys.modules.pop("lab_needy", None)
    answer = rnnlab_program("tasks")
    assert answer.code == 0
    assert answer.stderr == (
        "rnnlab: warning: left out: the task 'needy' cannot be shown: ZeroDivisionError: division by zero\n"
    )
    assert "parity" in answer.stdout
    assert "needy" not in answer.stdout
    assert rnnlab_program("schema").code == 0


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("CELL = (", "SyntaxError: '(' was never closed (dropped.py, line 1)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("CEL = None", "AttributeError: module 'lab_cells.dropped' has no attribute 'CELL'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_file_in_the_folder_breaks_nothing_else(install, tmp_path: Path, source: str, expected: str) -> None:
    (tmp_path / "lab_cells").mkdir()
    for name, text in {"__init__": "", "whole": "CELL = 1", "dropped": source}.items():
        (tmp_path / "lab_cells" / f"{name}.py").write_text(text)
    registry = Registry("lab_cells", "CELL", "cell")
    try:
        assert (registry.names(), registry.members()) == (["dropped", "whole"], {"whole": 1})
        assert [str(fault) for fault in registry.broken()] == [
            f"{tmp_path}/lab_cells/dropped.py: cannot load the cell 'dropped': {expected} — fix this file, or remove it"
        ]
    finally:
        for name in [name for name in sys.modules if name.startswith("lab_cells")]:
            del sys.modules[name]


def test_a_damaged_package_breaks_nothing(install) -> None:
    install("lab_damaged", "[rnnlab.cells]\nno equals sign here\n")
    install("lab_binary", "[\x00\nrnnlab.cells")
    assert CELLS.names() == OWN
