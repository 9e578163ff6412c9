"""The README's ten minutes: every block is run in order, from a copy of the configs, and must give what it shows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnlab.config.load import check_document
from rnnlab.config.reading import read_document
from rnnlab.sweeps.expand import check_sweep

ROOT = Path(__file__).parent.parent
# What needs a cluster is tested with one, in tests/slurm.
_BEFORE, CLUSTER, _AFTER = re.split(
    r"^(### On a cluster\n.*?)(?=^###? )", (ROOT / "README.md").read_text(), flags=re.M | re.S
)


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks, each with its kind."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


BLOCKS = blocks(_BEFORE + _AFTER)
FIRST, SECOND = (text for kind, text in BLOCKS if kind == "sh")


def of_kind(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configs and nothing else, where the tour leaves its runs."""
    folder = tmp_path_factory.mktemp("tour")
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def steps(block: str) -> list[tuple[str, str]]:
    """A console block's commands, each with the output that is shown below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert parts[0] == "", "a console block starts with a command"
    return [tuple(part.split("\n", 1)) for part in parts[1:]]


def as_pattern(shown: str) -> str:
    """`…` alone on a line stands for any lines; within one, for any text."""
    return "".join(
        r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n"
        for line in folded(shown).splitlines()
    )


def folded(text: str) -> str:
    """The text with any number of blanks as one: columns are as wide as their numbers."""
    return "".join(f"{' '.join(line.split(' ')).rstrip()}\n" for line in re.sub(" +", " ", text).splitlines())


def test_the_two_commands_come_first() -> None:
    assert [kind for kind, _ in BLOCKS][:2] == ["sh", "sh"]
    assert len(of_kind("sh")) == 2
    assert FIRST.count("\n") == SECOND.count("\n") == 1
    assert "rnnlab train configs/quickstart.yaml" in FIRST
    assert "pytest" in SECOND


def test_the_console_blocks_give_what_they_show(tour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("RNNLAB_RUNS", raising=False)
    untrue = []
    for command, shown in (step for block in of_kind("console") for step in steps(block)):
        program = command.replace("rnnlab", f"{sys.executable} -m rnnlab", 1)
        done = subprocess.run(program, shell=True, cwd=tour, capture_output=True, text=True, check=False)
        fails = "error[" in shown
        stops = "the state is saved" in shown
        output = done.stderr if fails or stops else done.stdout
        is_true = re.fullmatch(as_pattern(shown), folded(output))
        if not is_true or done.returncode != (2 if fails else 75 if stops else 0):
            untrue.append(f"$ {command}\n--- shown\n{shown}\n--- exit code {done.returncode}\n{output}{done.stderr}")
    assert not untrue, "\n\n".join(untrue)


def test_the_yaml_blocks_are_configs(tmp_path: Path) -> None:
    path, experiments = tmp_path / "shown.yaml", []
    (tmp_path / "my_cell.py").write_text(of_kind("python")[0])
    for text in of_kind("yaml"):
        path.write_text(text if text.startswith("task:") else f"task: adding\n{text}")
        if "\nsweep:" in text:
            plan = check_sweep(path).plan
        else:
            experiments.append(check_document(read_document(path), default_name="shown"))
    assert len(plan.trials) == (1 + 2) * 3 * 3 * 5
    whole, of_own, on_keras, on_numpy = experiments
    assert (of_own.cell_name, of_own.cell.units, of_own.cell.leak) == ("Leaky", 16, 0.5)
    assert (whole.cell.type, whole.timesteps, whole.training.schedule.type) == ("carry", (100, 110), "cosine")
    assert (on_keras.backend, on_keras.engine, on_keras.keras.path) == ("keras", "tensorflow", "auto")
    assert (on_numpy.backend, on_numpy.numpy.shards, on_numpy.training.recompute) == ("numpy", 1, "sqrt")


def test_the_python_block_runs(tour: Path) -> None:
    _, text = of_kind("python")
    done = subprocess.run([sys.executable, "-c", text], cwd=tour, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loss, baseline = map(float, done.stdout.split())
    assert loss < 2 * baseline
    assert baseline == pytest.approx(1 / 6 - 1 / 180)


def test_paths_in_the_readme_exist() -> None:
    for path in re.findall(r"`((?:configs|rnnlab|tests)/[\w./]*)`", (ROOT / "README.md").read_text()):
        assert (ROOT / path).exists(), path
