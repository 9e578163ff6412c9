"""What other programs understand: the error has the spelling that rnnlab understands."""

from pathlib import Path

import pytest

from tests.cli.program import TINY, rnnlab

LEARNING_RATE = "training.optimizer.learning_rate"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "x.yaml", "training.steps=5"], "write --set training.steps=5"),
        (["sweep", "x.yaml", "seed=3"], "write --set seed=3"),
        (["train", "--config", "x.yaml"], "the config is no option: write rnnlab train CONFIG"),
        (["check", "--config=x.yaml"], "the config is no option: write rnnlab check CONFIG"),
        (["train", "x.yaml", "--lr", "0.1"], f"write --set {LEARNING_RATE}=…"),
        (["train", "x.yaml", "--training.steps=5"], "write --set training.steps=…"),
        (["train", "x.yaml", "--batch-size", "3"], "write --set training.batch_size=…"),
        (["x.yaml"], "write rnnlab train x.yaml"),
        (["resume", "latest"], "write rnnlab train --resume RUN"),
        (["plot", "latest", "--kind", "spectrum"], "`rnnlab diagnose RUN --only spectrum` prints it"),
    ],
    ids=" ".join,
)
def test_on_the_command_line(here: Path, arguments: list[str], hint: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab(*arguments)
    assert (result.code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.endswith(f" — {hint}")
    assert [path.name for path in here.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("training.lr=1", f"write {LEARNING_RATE}"),
        ("training.learning_rate=1", f"write {LEARNING_RATE}"),
        ("lr=1", f"write {LEARNING_RATE}"),
        ("training.optimizer.lr=1", f"write {LEARNING_RATE}"),
        ("training.epochs=3", "write training.steps"),
        ("units=3", "write cell.units"),
        ("cell.hidden_size=3", "write cell.units"),
        ("shape.seq_len=3", "write shape.timesteps"),
        ("training.stps=3", "did you mean 'steps'?"),
        ("backend=jax", "write --set backend=keras --set engine=jax"),
        ("backend=pytorch", "write --set backend=keras --set engine=torch"),
        ("engine=numpy", "numpy is a backend: write backend: numpy, without an engine"),
        ("engine=pytorch", "did you mean 'torch'?"),
    ],
)
def test_in_a_setting(here: Path, setting: str, hint: str) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("check", "x.yaml", "--set", setting)
    assert (result.code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"rnnlab: error[E_CONFIG]: --set {setting}: ")
    assert line.endswith(f" — {hint}")


def test_in_a_file(here: Path) -> None:
    (here / "x.yaml").write_text(TINY + "backend: jax\n")
    result = rnnlab("check", "x.yaml")
    assert "'jax' is an engine of Keras, not a backend — write `backend: keras` and `engine: jax`" in result.stderr
