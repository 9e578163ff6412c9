import os
import platform
import sys
import types
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from rnnlab.storage.provenance import Process, backends, changed_backend, changed_versions, collect, hash_of
from tests.stored_runs import PROVENANCE, provenance


def collected(*, argv: Sequence[str] = (), backend: dict[str, Any] | None = None) -> Process:
    return collect(argv=argv, config_sha256="0" * 64, attempt=2, step=3, backend=backend or {"name": "numpy"})


def test_facts_of_the_process_and_nothing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OMP_NUM_THREADS": "3", "SLURM_JOB_ID": "42", "SLURM_JWT": "hush", "API_KEY": "hush"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(__version__="3.99"))  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    found = collected(argv=["rnnlab", "x\udcff"])
    text = found.model_dump_json()
    assert "hush" not in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text
    assert (found.argv, found.config_sha256, found.attempt, found.step) == (["rnnlab", r"x\udcff"], "0" * 64, 2, 3)
    # FIPS 180-2, appendix B.1: the hash of "abc".
    assert hash_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found.slurm == {"SLURM_JOB_ID": "42"}
    assert found.threads["OMP_NUM_THREADS"] == "3"
    assert found.versions["numpy"] == np.__version__ == metadata.version("numpy")
    assert found.versions["python"] == platform.python_version()
    assert found.versions["keras"] == "3.99"
    assert "tensorflow" not in found.versions
    assert found.cpu.logical_cores == os.cpu_count()
    assert {"internal_api", "num_threads", "version"} <= found.blas[0].model_dump(exclude_none=True).keys()


def test_what_has_changed_is_told() -> None:
    before, now = provenance(), collected(backend={"name": "keras", "engine": "jax", "threads": 1, "tf32": False})
    python = f"python was 3.11.7 when the run began and is {platform.python_version()} now: the results may differ"
    found = changed_versions(before, now)
    assert (python in found) == (platform.python_version() != "3.11.7")
    assert f"the processor was Abacus when the run began and is {now.cpu.model} now: the results may differ" in found
    assert changed_versions(now, now) == []
    assert changed_backend(before, now)[0].startswith("computed by numpy until now and by keras on jax from here on")
    assert changed_backend(before, before) == []
    assert backends(before.model_copy(update={"attempts": [before]})) == [(0, "numpy")]
    assert backends(before.model_copy(update={"attempts": [before, now]})) == [(0, "numpy"), (3, "keras on jax")]


WRONG: list[dict[str, Any]] = [
    {"id": "x"}, {"seed": 1.0}, {"argv": "rnnlab"}, {"argv": [1]}, {"versions": []}, {"versions": {"numpy": 2}},
    {"started": "0001-01-01T00:00:00+14:00"}, {"started": "9999-12-31T23:59:59Z"}, {"started": "2026-01-01T00:00:00"},
    {"started": "2026-01-01T00:00:00+01:00"}, {"cpu": {"model": "x"}}, {"git": {}}, {"blas": {}}, {"task": []},
    {"task": {"a": {"b": {"c": 1}}}}, {"task": {"a": "x" * 1001}}, {"task": {"a": 10**400}}, {"backend": {}},
    {"backend": {"name": "x", "y": "z" * 1001}}, {"attempts": [{}]}, {"attempts": {}}, {"other": 1}, {"step": 10**13},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG, ids=lambda change: str(change)[:40])
def test_a_provenance_that_does_not_fit(change: dict[str, Any]) -> None:
    assert provenance(**{key: PROVENANCE[key] for key in change if key in PROVENANCE})
    with pytest.raises(ValidationError):
        provenance(**change)
