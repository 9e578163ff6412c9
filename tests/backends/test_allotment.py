"""The processors allotted: what a job asks for, within what its affinity allows."""

import os

import pytest

from rnnlab.core.threads import allotted_cpus


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, 4), ("1", 1), ("3", 3), ("4", 4), ("8", 4), ("0", 4), ("-2", 4), ("2.5", 4), ("two", 4), ("²", 4), ("", 4)],
)
def test_a_job_has_what_it_asked_for(monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 4, 6}, raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if asked is not None:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", asked)
    assert allotted_cpus() == expected


@pytest.mark.parametrize(("machine", "expected"), [(3, 3), (None, 1)])
def test_where_there_is_no_affinity_the_machine_counts(
    monkeypatch: pytest.MonkeyPatch, machine: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: machine)
    assert allotted_cpus() == expected
