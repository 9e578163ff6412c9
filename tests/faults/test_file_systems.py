"""File systems that refuse a kind of change, report no space, or have a quota, and a clock that stands still."""

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rnnlab.core.errors import EnvironmentFault, StoppedError
from rnnlab.core.system_errors import system_error
from rnnlab.storage import RunFolder, disk
from rnnlab.sweeps.runner import run_sweep
from rnnlab.training.resume import resume, train_into
from rnnlab.training.stopping import Stop
from tests.cli.program import TINY, rnnlab
from tests.faults.oracle import Trial, begin
from tests.sweeps.trying import QUICK, make
from tests.training.resuming import account

Refuse = Callable[[int], None]


@pytest.fixture(params=["rename over", "append"])
def refuse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Let the disk refuse, with this error, to rename a file over another, or to append to one."""

    def refuse(code: int) -> None:
        rename = disk.rename
        error = OSError(code, os.strerror(code))

        def only_to_new(source: Path, target: Path) -> None:
            if target.exists():
                raise error
            rename(source, target)

        def never(path: Path) -> int:
            raise error

        if request.param == "append":
            monkeypatch.setattr(disk, "open_append", never)
        else:
            monkeypatch.setattr(disk, "rename", only_to_new)

    return refuse


def everything(place: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in place.rglob("*")}


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EIO], ids=errno.errorcode.get)
def test_what_a_file_system_refuses_is_found_before_anything_is_made(trial: Trial, refuse: Refuse, code: int) -> None:
    place, stop = trial.place, Stop()
    stop.ask("a test")
    with pytest.raises(StoppedError):
        list(train_into(place / "begun", trial.asked, config=b"", argv=[], stop=stop))
    sweep = make(place, QUICK)
    before = everything(place)
    refuse(code)
    attempts = {
        "train": lambda: begin(trial.asked, place / "new"),
        "resume": lambda: list(resume(RunFolder(place / "begun"), argv=[])),
        "sweep": lambda: make(place, QUICK, name="other"),
        "resume a sweep": lambda: list(run_sweep(sweep, workers=1)),
    }
    for name, attempt in attempts.items():
        with pytest.raises(EnvironmentFault, match=r"cannot (replace|append to) a file: ") as error:
            attempt()
        assert os.strerror(code) in error.value.problem, name
        assert "--runs DIR" in error.value.hint
    (place / "other.yaml").unlink()
    assert everything(place) == before


def test_a_file_system_without_a_size_is_not_full(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """All numbers of statvfs are zero there, as with some FUSE file systems."""
    nothing = {name: 0 for name in dir(os.statvfs("/")) if name.startswith("f_")}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**nothing))
    assert shutil.disk_usage(trial.place).total == 0
    assert account(begin(trial.asked, trial.place / "run")) == trial.whole
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert system_error("write", trial.place, full).problem == "cannot write: No space left on device"


def test_a_quota_is_named_without_the_space_of_all(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, data: object) -> int:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(disk, "write", refuse)
    with pytest.raises(EnvironmentFault) as error:
        begin(trial.asked, trial.place / "run")
    assert error.value.problem.endswith(os.strerror(errno.EDQUOT))
    assert error.value.hint.startswith("free some space within your quota, or ")


def test_a_clock_that_stands_still(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a virtual machine, or with a coarse clock: times are zero, and what is divided by them is not known."""
    for clock in ("perf_counter", "monotonic", "process_time"):
        monkeypatch.setattr(time, clock, lambda: 1000.0)
    (here / "x.yaml").write_text(TINY)
    for seed in ("0", "1"):
        assert rnnlab("train", "x.yaml", "--into", f"runs/{seed}", "--no-plots", "--set", f"seed={seed}").code == 0
    summary = RunFolder(here / "runs" / "0").read_summary()
    assert (summary.seconds, summary.steps_per_second) == (0.0, None)
    for command in ("list", "show 0", "compare 0 1", "report 0 1", "evaluate 0", "doctor 0"):
        result = rnnlab(*command.split())
        assert result.code == 0, (command, result.stderr)
    (here / "s.yaml").write_text(TINY + "sweep: {seeds: 2}\n")
    assert rnnlab("sweep", "s.yaml", "--dry-run").code == 0
