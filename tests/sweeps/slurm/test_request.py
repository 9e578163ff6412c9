"""The resources of jobs: parsed as sbatch parses them, and checked before anything is submitted."""

from typing import Any

import pytest

from rnnlab.core.errors import UsageError
from rnnlab.sweeps.slurm.script import Request


@pytest.mark.parametrize(
    ("time", "seconds", "notice"),
    [
        (None, None, 120),
        ("90", 5400, 120),
        ("1:30", 90, 22),
        ("2:00:00", 7200, 120),
        ("1-0", 86_400, 120),
        ("1-12:30", 131_400, 120),
        ("1-12:30:05", 131_405, 120),
        ("0:02", 2, 1),
    ],
)
def test_the_time_and_the_notice(time: str | None, seconds: int | None, notice: int) -> None:
    request = Request(time=time).check()
    assert (request.seconds(), request.notice()) == (seconds, notice)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": "2h"}, "--time: got '2h', expected minutes, HH:MM:SS or DAYS-HH:MM:SS"),
        ({"time": "1:2:3:4"}, "--time: got '1:2:3:4', expected minutes, HH:MM:SS or DAYS-HH:MM:SS"),
        ({"time": "0"}, "--time: got 0, expected more time"),
        ({"mem": "2 GB"}, "--mem: got '2 GB', expected a size like 500M or 2G"),
        ({"partition": "a b"}, "--partition: got 'a b', expected a partition's name, or several with commas"),
        ({"account": "x\n#SBATCH"}, "--account: got 'x\\n#SBATCH', expected an account's name"),
        ({"extra": ("-C avx2",)}, "--extra: got '-C avx2', expected a line like '#SBATCH --constraint=avx2'"),
        (
            {"extra": ("#SBATCH -C a\nrm x",)},
            "--extra: got '#SBATCH -C a\\nrm x', expected a line like '#SBATCH --constraint=avx2'",
        ),
    ],
)
def test_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Request(**options).check()
    assert str(caught.value) == message
