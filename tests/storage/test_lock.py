"""The lock: one holder, told by name; a dead one is overtaken, and one that was only thought dead finds out."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import EnvironmentFault, RunLockedError
from rnnlab.storage import disk
from rnnlab.storage.files import sweep
from rnnlab.storage.jsonfile import read_json, sealed
from rnnlab.storage.lock import LEASE_SECONDS, Holder, Lock, acquire, is_held, read_holder
from tests.disk_faults import Faults, Killed


def plant(folder: Path, number: int = 1, **facts: Any) -> Path:
    """Write the lock of another process."""
    path = folder / f"lock-{number:04d}.json"
    path.write_bytes(sealed(Holder.here().model_copy(update=facts).model_dump(mode="json")))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def dead() -> dict[str, Any]:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return {"pid": process.pid}


def test_who_holds_it(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    assert (is_held(tmp_path), read_holder(tmp_path)) == (False, None)
    lock = acquire(tmp_path, after=0)
    holder = read_holder(tmp_path)
    assert holder is not None
    assert (holder.pid, holder.host, lock.attempt) == (os.getpid(), os.uname().nodename, 1)
    assert began <= holder.acquired == holder.heartbeat <= datetime.now(UTC)
    assert is_held(tmp_path)
    lock.release()
    assert (is_held(tmp_path), names(tmp_path)) == (False, [])


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    acquire(tmp_path, after=0)
    since = read_holder(tmp_path).acquired.strftime("%Y-%m-%dT%H:%M:%SZ")  # type: ignore[union-attr]
    with pytest.raises(RunLockedError) as refused:
        acquire(tmp_path, after=0)
    assert str(refused.value) == (
        f"{tmp_path}: is being trained by process {os.getpid()} on {os.uname().nodename}, since {since} — "
        "wait until it ends; if that process cannot be alive, add --force-unlock"
    )
    assert refused.value.exit_code == 6
    assert names(tmp_path) == ["lock-0001.json"]


@pytest.mark.parametrize(
    ("facts", "alive"),
    [
        ({}, True),
        ({"process_started": "1"}, False),  # the number is another process's by now
        ({"pid": 2**70}, False),
        ({"pid": 1, "process_started": None}, True),  # where the system does not tell when it began
        ({"machine": "m", "heartbeat": -LEASE_SECONDS + 60}, True),
        ({"machine": "m", "heartbeat": -LEASE_SECONDS - 1}, False),
        ({"machine": "m", "heartbeat": 400 * 86400}, True),  # whose clock is wrong cannot be known
        ({"machine": "m", "pid": 2**70}, True),
    ],
)
def test_who_counts_as_alive(tmp_path: Path, facts: dict[str, Any], alive: bool) -> None:
    ago = facts.get("heartbeat", 0)  # seconds from now
    plant(tmp_path, 3, **facts | {"heartbeat": datetime.now(UTC) + timedelta(seconds=ago)})
    assert is_held(tmp_path) == alive
    if alive:
        with pytest.raises(RunLockedError):
            acquire(tmp_path, after=0)
    else:
        assert acquire(tmp_path, after=0).attempt == 4
        assert names(tmp_path) == ["lock-0004.json"]


def test_a_dead_process_is_overtaken(tmp_path: Path) -> None:
    plant(tmp_path, 7, **dead())
    assert acquire(tmp_path, after=2).attempt == 8


def test_a_process_that_ended_and_was_not_waited_for_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = Path(f"/proc/{process.pid}/stat").read_text().split()[21]
        plant(tmp_path, pid=process.pid, process_started=started)
        assert is_held(tmp_path)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_held(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": 1}', b"\0" * 300])
def test_a_lock_that_cannot_be_read_is_held_while_it_is_young(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock-0001.json"
    path.write_bytes(content)
    with pytest.raises(RunLockedError, match="is being trained by another process"):
        acquire(tmp_path, after=0)
    old = path.stat().st_mtime - LEASE_SECONDS - 1
    os.utime(path, (old, old))
    assert acquire(tmp_path, after=0).attempt == 2


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "lock-0001.json").symlink_to("victim")
    lock = acquire(tmp_path, after=0, force=True)
    lock.beat()
    lock.release()
    assert (tmp_path / "victim").read_text() == "mine"


def lost(lock: Lock) -> str:
    with pytest.raises(RunLockedError) as refused:
        lock.check()
    return refused.value.problem


def test_who_was_overtaken_by_force_finds_out(tmp_path: Path) -> None:
    first = acquire(tmp_path, after=0)
    first.check()
    second = acquire(tmp_path, after=0, force=True)
    assert lost(first).startswith(f"was taken over by process {os.getpid()} on ")
    with pytest.raises(RunLockedError):
        first.beat()
    second.check()
    first.release()
    second.check()
    second.release()
    assert lost(first) == "was taken over by another process, so this process writes nothing more to it"


def test_a_lock_of_the_same_number_is_another(tmp_path: Path) -> None:
    first = acquire(tmp_path, after=0)
    first.release()
    acquire(tmp_path, after=0)
    assert "taken over" in lost(first)


def test_a_sign_of_life(tmp_path: Path) -> None:
    lock = acquire(tmp_path, after=0)
    before = read_json(tmp_path / "lock-0001.json")
    lock.beat()
    after = read_json(tmp_path / "lock-0001.json")
    assert before["heartbeat"] < after["heartbeat"]
    assert before == {**after, "heartbeat": before["heartbeat"]}
    lock.check()


def test_of_many_that_overtake_at_once_one_wins(tmp_path: Path) -> None:
    for n in range(20):
        folder = tmp_path / str(n)
        folder.mkdir()
        plant(folder, process_started="1")
        barrier, won, refused = threading.Barrier(8), [], []

        def take(folder: Path = folder, barrier: Any = barrier, won: Any = won, refused: Any = refused) -> None:
            barrier.wait()
            try:
                won.append(acquire(folder, after=0))
            except RunLockedError as error:
                refused.append(error)

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(refused)) == (1, 7)
        won[0].check()


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_any_call_it_can_be_overtaken(tmp_path: Path, faults: Faults, late: bool) -> None:
    for n in range(1, 30):
        folder = tmp_path / str(n)
        folder.mkdir()
        plant(folder, process_started="1")
        faults.arm(n, error=Killed(), once=False, late=late)
        try:
            acquire(folder, after=0)
        except Killed:
            faults.disarm()
            acquire(folder, after=0, force=True).check()  # by force: here the killed process is this one
            continue
        break
    assert n > 6


def test_without_second_names_the_file_is_created_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(disk, "link", refuse)
    lock = acquire(tmp_path, after=0)
    lock.check()
    with pytest.raises(RunLockedError):
        acquire(tmp_path, after=0)


def test_whose_unfinished_file_the_faster_one_swept_away_is_told_who_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(disk, "link", real)
        acquire(tmp_path, after=0)
        sweep(tmp_path)
        real(source, target)

    monkeypatch.setattr(disk, "link", late)
    with pytest.raises(RunLockedError, match=f"is being trained by process {os.getpid()} on "):
        acquire(tmp_path, after=0)
    assert names(tmp_path) == ["lock-0001.json"]


def test_a_lock_that_cannot_be_made_is_no_lock_of_another(tmp_path: Path, faults: Faults) -> None:
    faults.arm(5, late=True)
    with pytest.raises(EnvironmentFault, match="Input/output error"):
        acquire(tmp_path, after=0)
    assert faults.calls[4] == "link"
    assert names(tmp_path) == ["lock-0001.json"]
