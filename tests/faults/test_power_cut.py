"""The power goes at each call to the disk in turn: what was acknowledged as saved is there, and the rest is remade."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from rnnlab.storage import disk
from tests.faults.oracle import Trial, Witness
from tests.faults.power import LUCKS, Luck, Power
from tests.faults.seam import Fault, Seam

STRIDE = 29


@pytest.fixture(autouse=True)
def saves_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save for the first time as the config asks, as outside of tests."""
    monkeypatch.setattr("rnnlab.training.store.FIRST_SECONDS", 1.0)


@pytest.fixture
def disk_room(trial: Trial) -> Path:
    room = trial.place / "disk"
    room.mkdir()
    return room


def cut_at(n: int, trial: Trial, quick: pytest.MonkeyPatch, luck: Luck, *, room: Path) -> tuple[Witness, bool]:
    """Train in a room until the call number `n`, and cut the power just before it."""
    with quick.context() as patch:
        power = Power(patch, room)
        seam = Seam(patch)
        seam.arm(n, Fault())
        broken = trial.run(room / "run")
        happened = seam.end_process()
    power.cut(luck)
    return broken, happened


def loop(trial: Trial, quick: pytest.MonkeyPatch, luck: Luck, *, begin_at: int, stride: int) -> int:
    """Cut the power before every so many-th call; return how often it was cut."""
    for cuts, n in enumerate(count(begin_at, stride)):
        room = trial.place / str(n)
        room.mkdir()
        broken, happened = cut_at(n, trial, quick, luck, room=room)
        if not happened:
            assert broken.finished
        (room / "run").mkdir(exist_ok=True)
        try:
            trial.check(room / "run", broken)
        except BaseException as error:
            error.add_note(f"cut before call {n}, {luck} came through")
            raise
        if not happened:
            assert n > 120
            return cuts
    raise AssertionError


@pytest.mark.parametrize("luck", LUCKS)
def test_power_cut(trial: Trial, quick: pytest.MonkeyPatch, luck: Luck) -> None:
    loop(trial, quick, luck, begin_at=1 + LUCKS.index(luck), stride=STRIDE)


@pytest.mark.soak
@pytest.mark.parametrize("luck", LUCKS)
def test_power_cut_every_call(
    trial: Trial, quick: pytest.MonkeyPatch, luck: Luck, report: Callable[[str], None]
) -> None:
    cuts = loop(trial, quick, luck, begin_at=1, stride=1)
    report(f"power cut before each call, {luck} came through: {cuts} of {cuts} survived")


@pytest.mark.parametrize("luck", LUCKS)
def test_what_is_finished_is_there(trial: Trial, quick: pytest.MonkeyPatch, luck: Luck, disk_room: Path) -> None:
    """The power is cut at the moment when the training has reported that it is done."""
    with quick.context() as patch:
        power = Power(patch, disk_room)
        broken = trial.run(disk_room / "run")
    power.cut(luck)
    assert broken.finished
    assert trial.examined(disk_room / "run") == "completed"
    trial.check(disk_room / "run", broken)


@pytest.mark.parametrize(
    ("luck", "left"),
    [
        ("nothing", {"a": b"1234", "b": b"", "old": b"old"}),
        ("names", {"b": b"", "c": None, "old": b"1234"}),
        ("contents", {"a": b"1234", "b": b"1234", "old": b"old"}),
        ("half", {"a": b"1234", "b": b"12", "old": b"old"}),
        ("zeros", {"a": b"1234", "b": bytes(4), "old": b"old"}),
    ],
)
def test_the_model_by_hand(
    quick: pytest.MonkeyPatch, disk_room: Path, luck: Luck, left: dict[str, bytes | None]
) -> None:
    """`a` is synced and `b` is not, then their folder is; not so the renaming of `a` to `old`, and the folder `c`."""
    (disk_room / "old").write_bytes(b"old")
    power = Power(quick, disk_room)
    for name, push in (("a", disk.fsync), ("b", lambda _: None)):
        descriptor = disk.open_new(disk_room / name)
        disk.write(descriptor, b"1234")
        push(descriptor)
        disk.close(descriptor)
    folder = disk.open_folder(disk_room)
    disk.fsync(folder)
    disk.close(folder)
    disk.rename(disk_room / "a", disk_room / "old")
    disk.mkdir(disk_room / "c")
    power.cut(luck)
    assert {path.name: None if path.is_dir() else path.read_bytes() for path in disk_room.iterdir()} == left
