"""An engine that is missing or broken is reported before anything is made."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnlab.backends.keras.engines import start
from rnnlab.core.errors import UsageError
from tests.cli.program import Result, rnnlab

CONFIG = "task: parity\nbackend: keras\ntraining: {steps: 1}\nevaluation: {sequences: 2}\n"


def skip_without(engine: str) -> None:
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")


def train(here: Path, *lines: str) -> Result:
    """Train on what the lines add to the config; it must not come far."""
    (here / "x.yaml").write_text(CONFIG + "".join(f"{line}\n" for line in lines))
    result = rnnlab("train", "x.yaml")
    assert [path.name for path in here.iterdir()] == ["x.yaml"]
    assert result.stdout == ""
    return result


@pytest.mark.parametrize(
    ("engine", "missing", "hint"),
    [
        ("jax", ["jax"], "pip install 'rnnlab[jax]', or set engine: tensorflow"),
        ("torch", ["torch"], "pip install 'rnnlab[torch]', or set engine: tensorflow"),
        ("torch", ["torch", "tensorflow"], "pip install 'rnnlab[torch]', or set engine: jax"),
        ("tensorflow", ["keras"], "pip install 'rnnlab[tensorflow]'"),
        ("tensorflow", ["keras", "tensorflow"], "pip install 'rnnlab[tensorflow]'"),
    ],
)
def test_an_engine_that_is_not_installed(
    here: Path, monkeypatch: pytest.MonkeyPatch, engine: str, missing: list[str], hint: str
) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)  # as in a process that has only begun
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())
    result = train(here, f"engine: {engine}")
    reported = f"{missing[0]} is not installed, and engine {engine} needs it — {hint}"
    assert (result.code, result.stderr) == (5, f"rnnlab: error[E_ENVIRONMENT]: {reported}\n")
    checked = rnnlab("check", "x.yaml")
    assert (checked.code, checked.stderr.splitlines()[0]) == (0, f"rnnlab: warning: {reported}")
    assert "keras" not in sys.modules


@pytest.mark.parametrize(
    ("failure", "reported"),
    [
        ("ImportError('libcuda.so.1: cannot open')", "libcuda.so.1: cannot open"),
        ("ImportError('two\\nlines \\x1b[31m')", "two\\nlines \\x1b[31m"),
        ("OSError('no space for a thread')", "OSError: no space for a thread"),
        ("AttributeError('np.float_ was removed')", "AttributeError: np.float_ was removed"),
    ],
)
def test_an_engine_that_is_broken(
    here: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
    reported: str,
) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    broken = tmp_path_factory.mktemp("broken")
    (broken / "keras").mkdir(parents=True)
    (broken / "keras" / "__init__.py").write_text(f"raise {failure}")
    monkeypatch.syspath_prepend(broken)
    result = train(here)
    assert (result.code, result.stderr) == (
        5,
        f"rnnlab: error[E_ENVIRONMENT]: Keras on tensorflow cannot be imported: {reported} — "
        "repair or reinstall it: pip install 'rnnlab[tensorflow]'\n",
    )


def test_an_engine_that_does_not_exist(here: Path) -> None:
    result = train(here, "engine: jaxx")
    reported = "rnnlab: error[E_CONFIG]: x.yaml:5:9 engine: unknown engine 'jaxx' — did you mean 'jax'?\n"
    assert (result.code, result.stderr) == (2, reported)
    with pytest.raises(UsageError, match="unknown engine 'pytorch' — did you mean 'torch'"):
        start("pytorch")


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_keras_has_double_precision_on_tensorflow_alone(here: Path, engine: str) -> None:
    skip_without(engine)
    result = train(here, f"engine: {engine}", "precision: float64")
    assert (result.code, result.stderr) == (
        2,
        f"rnnlab: error[E_USAGE]: precision float64 on engine {engine}: Keras computes there in float32 — "
        "set precision: float32, or engine: tensorflow\n",
    )


def test_one_process_has_one_engine(here: Path, keras: Any, engine: str) -> None:
    other = "jax" if engine == "torch" else "torch"
    skip_without(other)
    result = train(here, f"engine: {other}")
    assert (result.code, result.stderr) == (
        5,
        f"rnnlab: error[E_ENVIRONMENT]: this process runs Keras on {engine}, expected {other} — "
        "a process has one engine: start another process\n",
    )
