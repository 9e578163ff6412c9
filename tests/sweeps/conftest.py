"""Sweeps small enough to plan and to run within a test."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rnnlab.config.blocks import SweepOptions
from rnnlab.sweeps import Plan, Trial


def trial(number: int, name: str = "", values: Mapping[str, Any] | None = None) -> Trial:
    values = dict(values or {"seed": number - 1})
    return Trial(number=number, name=name or f"{number:04d}-seed{number - 1}", values=values, sha256=f"{number:064x}")


def plan(trials: Sequence[Trial], config: bytes = b"task: parity\n") -> Plan:
    return Plan(
        name="tiny",
        options=SweepOptions(seeds=max(1, len(trials))),
        config_sha256=sha256(config).hexdigest(),
        trials=tuple(trials),
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
