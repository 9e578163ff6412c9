"""The lock: one holder, which is named; a dead one is overtaken, and one that was only thought dead finds out."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, final

import pytest

from rnnlab.core.errors import EnvironmentFault, RunLockedError
from rnnlab.storage import disk
from rnnlab.storage.files import sweep
from rnnlab.storage.holder import LEASE_SECONDS, Holder, is_held, read_holder
from rnnlab.storage.jsonfile import read_json, read_model, sealed
from rnnlab.storage.lock import Lock, acquire
from tests.disk_faults import Faults, Killed


@pytest.fixture(autouse=True)
def no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks that are not released here must not be updated during other tests."""
    monkeypatch.setattr("rnnlab.storage.lock.BEAT_SECONDS", 1e6)


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
    lock = acquire(tmp_path)
    holder = read_holder(tmp_path)
    assert holder is not None
    assert (holder.pid, holder.host, lock.attempt) == (os.getpid(), os.uname().nodename, 1)
    assert began <= holder.acquired == holder.heartbeat <= datetime.now(UTC)
    assert is_held(tmp_path)
    lock.release()
    assert (is_held(tmp_path), names(tmp_path)) == (False, [])


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    acquire(tmp_path)
    since = read_holder(tmp_path).acquired.strftime("%Y-%m-%dT%H:%M:%SZ")  # type: ignore[union-attr]
    with pytest.raises(RunLockedError) as refused:
        acquire(tmp_path)
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
        ({"pid": 2**31}, False),
        ({"pid": 1, "process_started": None}, True),  # where the system does not tell when it began
    ],
)
def test_who_counts_as_alive_on_this_machine(tmp_path: Path, facts: dict[str, Any], alive: bool) -> None:
    plant(tmp_path, 3, **facts)
    assert is_held(tmp_path) == alive
    if alive:
        with pytest.raises(RunLockedError):
            acquire(tmp_path)
    else:
        assert acquire(tmp_path).attempt == 4
        assert names(tmp_path) == ["lock-0004.json"]


@pytest.mark.parametrize(
    ("heartbeat", "alive"), [(-59, True), (-61, False), (59, True), (61, False), (400 * 86400, False)]
)
def test_who_is_shown_as_alive_on_another_machine(tmp_path: Path, heartbeat: int, alive: bool) -> None:
    plant(tmp_path, machine="m", pid=2**31, heartbeat=datetime.now(UTC) + timedelta(seconds=heartbeat))
    assert is_held(tmp_path) == alive


@final
class Watched:
    """The pauses of a process that waits for a lock; between two of them, time passes and the lock may change."""

    def __init__(self, patch: pytest.MonkeyPatch, *, seconds: float = 1.0) -> None:
        self.holders: list[str] = []
        self._now, self._seconds, self._changes = 0.0, seconds, dict[int, Callable[[], object]]()
        patch.setattr("rnnlab.storage.holder.time.monotonic", lambda: self._now)

    def at(self, second: int, change: Callable[[], object]) -> Self:
        self._changes[second] = change
        return self

    def __call__(self, holder: str) -> None:
        self._now += self._seconds
        self.holders.append(holder)
        self._changes.get(len(self.holders), lambda: None)()


@pytest.mark.parametrize("hours", [-24 * 400, -0.1, 0, 0.1, 24 * 400])
def test_a_lock_of_another_machine_is_overtaken_once_it_did_not_change_for_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    """Whatever its clock shows."""
    plant(tmp_path, 3, machine="m", heartbeat=datetime.now(UTC) + timedelta(hours=hours))
    watched = Watched(monkeypatch)
    assert acquire(tmp_path, pause=watched).attempt == 4
    assert len(watched.holders) == LEASE_SECONDS
    assert f"process {os.getpid()} on {os.uname().nodename}, since " in watched.holders[0]


def beaten(path: Path) -> None:
    """Update the lock of another process."""
    path.write_bytes(sealed(read_model(path, Holder, what="").updated().model_dump(mode="json")))


@pytest.mark.parametrize("second", [1, 30, 59])
def test_a_lock_of_another_machine_that_changes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: int
) -> None:
    path = plant(tmp_path, 3, machine="m", heartbeat=datetime.now(UTC) - timedelta(hours=1))
    watched = Watched(monkeypatch).at(second, lambda: beaten(path))
    with pytest.raises(RunLockedError, match="is being trained by process"):
        acquire(tmp_path, pause=watched)
    assert (len(watched.holders), names(tmp_path)) == (second, ["lock-0003.json"])


def test_where_another_one_overtakes_meanwhile_the_wait_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, 3, machine="m")
    with pytest.raises(RunLockedError):
        acquire(tmp_path, pause=Watched(monkeypatch).at(20, lambda: plant(tmp_path, 4, machine="m")))
    assert names(tmp_path) == ["lock-0003.json", "lock-0004.json"]


def test_a_lock_of_another_machine_that_is_given_back_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant(tmp_path, 3, machine="m")
    watched = Watched(monkeypatch).at(2, path.unlink)
    assert (acquire(tmp_path, pause=watched).attempt, len(watched.holders)) == (1, 2)


def test_by_force_there_is_no_wait(tmp_path: Path) -> None:
    plant(tmp_path, 3, machine="m")
    assert acquire(tmp_path, force=True).attempt == 4


def test_a_dead_process_is_overtaken(tmp_path: Path) -> None:
    plant(tmp_path, 7, **dead())
    assert acquire(tmp_path, recorded=lambda: 2).attempt == 8


def test_a_process_that_ended_and_was_not_waited_for_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = Path(f"/proc/{process.pid}/stat").read_text().split()[21]
        plant(tmp_path, pid=process.pid, process_started=started)
        assert is_held(tmp_path)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_held(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": 1}', b"\0" * 300])
def test_a_lock_that_cannot_be_read_is_waited_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path = tmp_path / "lock-0001.json"
    path.write_bytes(content)
    assert is_held(tmp_path)
    old = path.stat().st_mtime - LEASE_SECONDS - 1
    os.utime(path, (old, old))
    assert not is_held(tmp_path)
    watched = Watched(monkeypatch)
    assert acquire(tmp_path, pause=watched).attempt == 2
    assert watched.holders == ["another process"] * int(LEASE_SECONDS)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "lock-0001.json").symlink_to("victim")
    lock = acquire(tmp_path, force=True)
    lock.beat()
    lock.release()
    assert (tmp_path / "victim").read_text() == "mine"


def lost(lock: Lock) -> str:
    with pytest.raises(RunLockedError) as refused:
        lock.check()
    return refused.value.problem


def test_who_was_overtaken_by_force_finds_out(tmp_path: Path) -> None:
    first = acquire(tmp_path)
    first.check()
    second = acquire(tmp_path, force=True)
    assert lost(first).startswith(f"was taken over by process {os.getpid()} on ")
    with pytest.raises(RunLockedError):
        first.beat()
    second.check()
    first.release()
    second.check()
    second.release()
    assert lost(first) == "was taken over by another process, so this process writes nothing more to it"


def test_the_recorded_attempt_counts_where_the_lock_of_the_successor_is_gone(tmp_path: Path) -> None:
    attempts = [0]
    first = acquire(tmp_path, recorded=lambda: attempts[-1])
    attempts.append(2)
    assert lost(first).startswith("was taken over by another process")
    first.release()


def test_a_lower_attempt_or_lock_is_no_reason_to_quit(tmp_path: Path) -> None:
    lock = acquire(tmp_path, recorded=lambda: 4)
    plant(tmp_path, 3)
    lock.check()
    assert lock.attempt == 5


def test_a_lock_that_somebody_deleted_is_made_again(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    (tmp_path / "lock-0001.json").unlink()
    lock.check()
    assert names(tmp_path) == ["lock-0001.json"]
    with pytest.raises(RunLockedError):
        acquire(tmp_path)
    (tmp_path / "lock-0001.json").write_bytes(b"damaged")
    lock.check()
    lock.beat()
    assert read_holder(tmp_path) is not None


def test_a_lock_of_the_same_number_with_the_token_of_another_is_lost(tmp_path: Path) -> None:
    """And is not given back by who lost it."""
    lock = acquire(tmp_path)
    path = plant(tmp_path, 1, token="another's")
    assert lost(lock).startswith("was taken over by process")
    lock.release()
    assert path.exists()


def test_who_makes_its_lock_again_too_late_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network, where a folder is listed as it was a moment ago: the open lock is gone, the new one not seen."""
    first = acquire(tmp_path)
    real = disk.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(disk, "link", real)
        plant(tmp_path, 2)
        real(source, target)

    (tmp_path / "lock-0001.json").unlink()
    monkeypatch.setattr(disk, "link", late)
    assert lost(first).startswith("was taken over by process")
    assert names(tmp_path) == ["lock-0002.json"]


def test_an_error_of_the_disk_in_a_process_that_was_overtaken_is_reported_as_that(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    plant(tmp_path, 2)
    with pytest.raises(RunLockedError), lock:
        raise EnvironmentFault("cannot write 7 bytes: No such file or directory")
    with pytest.raises(EnvironmentFault), acquire(tmp_path, force=True):
        raise EnvironmentFault("cannot write 7 bytes: No such file or directory")


def test_a_released_lock_is_not_made_again(tmp_path: Path) -> None:
    first = acquire(tmp_path)
    first.release()
    assert "taken over" in lost(first)
    acquire(tmp_path)
    assert "taken over" in lost(first)


def test_a_thread_updates_the_lock_until_it_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.storage.lock.BEAT_SECONDS", 0.01)
    lock = acquire(tmp_path)
    for _ in range(2000):
        holder = read_holder(tmp_path)
        assert holder is not None
        if holder.beats >= 3:
            break
        time.sleep(0.005)
    assert holder.beats >= 3
    lock.release()
    time.sleep(0.05)
    assert names(tmp_path) == []


def test_one_update_may_fail_and_a_lost_lock_is_known_without_a_look_at_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    monkeypatch.setattr("rnnlab.storage.lock.BEAT_SECONDS", 0.01)
    lock = acquire(tmp_path)
    faults.arm(1, once=False)
    before = len(faults.calls)
    while len(faults.calls) < before + 5:
        time.sleep(0.005)
    faults.disarm()
    lock.look()
    other = acquire(tmp_path, force=True)
    assert lock._finished.wait(10)
    with pytest.raises(RunLockedError):
        lock.look()
    other.release()


def test_where_the_system_allows_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("rnnlab.storage.lock.start_new_thread", refuse)
    with pytest.raises(EnvironmentFault, match=r"can't start new thread — raise the limit .* \(ulimit -u;"):
        acquire(tmp_path)
    assert names(tmp_path) == []


def test_a_sign_of_life(tmp_path: Path) -> None:
    lock = acquire(tmp_path)
    before = read_json(tmp_path / "lock-0001.json")
    lock.beat()
    after = read_json(tmp_path / "lock-0001.json")
    assert before["heartbeat"] < after["heartbeat"]
    assert before == {**after, "heartbeat": before["heartbeat"], "beats": 0}
    assert after["beats"] == 1
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
                won.append(acquire(folder))
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
            acquire(folder)
        except Killed:
            faults.disarm()
            acquire(folder, force=True).check()  # by force: here the killed process is this one
            continue
        break
    assert n > 6


def test_without_second_names_the_file_is_created_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(disk, "link", refuse)
    lock = acquire(tmp_path)
    lock.check()
    with pytest.raises(RunLockedError):
        acquire(tmp_path)


def test_whose_unfinished_file_the_faster_one_swept_away_is_told_who_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(disk, "link", real)
        acquire(tmp_path)
        sweep(tmp_path)
        real(source, target)

    monkeypatch.setattr(disk, "link", late)
    with pytest.raises(RunLockedError, match=f"is being trained by process {os.getpid()} on "):
        acquire(tmp_path)
    assert names(tmp_path) == ["lock-0001.json"]


def test_a_lock_that_cannot_be_made_is_no_lock_of_another(tmp_path: Path, faults: Faults) -> None:
    faults.arm(5, late=True)
    with pytest.raises(EnvironmentFault, match="Input/output error"):
        acquire(tmp_path)
    assert faults.calls[4] == "link"
    assert names(tmp_path) == []
