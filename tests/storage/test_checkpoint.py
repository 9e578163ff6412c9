from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.storage import disk
from rnnlab.storage.checkpoint import Checkpoint, Checkpoints
from rnnlab.storage.weights import save_arrays
from tests.disk_faults import Faults, Killed
from tests.networks import network

STATE: dict[str, Any] = {
    "model": {"parameters/W": np.array([[0.1, -2.5]], "f4"), "optimizer/step": np.array([7])},
    "success": {"recent": np.array([True, False]), "losses": np.zeros(0)},
    "place": {"step": 7, "seconds": 0.1, "metrics": {"loss": 1 / 3}, "solved_at": None},
}


ABOUT = {"network": network().describe(), "task": "parity"}


def at(step: int) -> Checkpoint:
    return Checkpoint(id="ab" * 8, attempt=2, step=step, metrics_bytes=10 * step, about=ABOUT, state=STATE)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path)


def test_what_is_loaded_is_what_was_saved_to_the_bit(checkpoints: Checkpoints) -> None:
    checkpoints.save(at(7))
    loaded = checkpoints.load(7)
    assert replace(loaded, state={}) == replace(at(7), state={})
    assert loaded.state.keys() == STATE.keys()
    assert loaded.state["place"] == STATE["place"]
    for part, name in (("model", "parameters/W"), ("model", "optimizer/step"), ("success", "recent")):
        array, wanted = loaded.state[part][name], STATE[part][name]
        assert (array.dtype, array.shape, array.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())
    assert loaded.state["success"]["losses"].shape == (0,)


def test_the_newest_two_are_kept(checkpoints: Checkpoints, tmp_path: Path) -> None:
    kept = []
    for step in (0, 9, 10, 1_000_000_000):
        checkpoints.save(at(step))
        kept.append(checkpoints.steps())
    assert kept == [[0], [9, 0], [10, 9], [1_000_000_000, 10]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-0000000010-0002.safetensors", "step-1000000000-0002.safetensors",
    ]  # fmt: skip


def test_what_another_process_left_stays_until_two_are_known_to_be_good(tmp_path: Path) -> None:
    for step in (1, 2):
        Checkpoints(tmp_path).save(at(step))
    later = Checkpoints(tmp_path)
    later.save(at(3))
    assert later.steps() == [3, 2, 1]
    later.save(at(4))
    assert later.steps() == [4, 3]
    again = Checkpoints(tmp_path)
    again.trust(4)
    again.save(at(5))
    assert again.steps() == [5, 4]


def test_a_process_that_was_overtaken_deletes_nothing_of_its_successor(tmp_path: Path) -> None:
    loser, winner = Checkpoints(tmp_path), Checkpoints(tmp_path)
    for step in (1, 2):
        loser.save(at(step))
    winner.trust(2)
    for step in (2, 3, 4):
        winner.save(replace(at(step), attempt=3))
    loser.save(at(5))
    assert winner.steps() == [5, 4, 3]
    assert winner.load(4).attempt == winner.load(3).attempt == 3


def test_of_one_step_the_later_attempt_counts_and_does_not_replace_the_earlier(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(at(4))
    Checkpoints(tmp_path).save(replace(at(4), attempt=10_000))
    checkpoints = Checkpoints(tmp_path)
    assert (checkpoints.steps(), checkpoints.load(4).attempt) == ([4], 10_000)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_names_are_no_checkpoints(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for name in (
        "step-9-0001.safetensors",
        "step--000000001-0001.safetensors",
        "step-0000000009.safetensors",
        "latest",
        "x.tmp",
    ):
        (tmp_path / name).write_bytes(b"")
    assert checkpoints.steps() == []
    assert Checkpoints(tmp_path / "none").steps() == []


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda data: data[:-1], "cannot be loaded: it is cut, extended or changed"),
        (lambda data: b"", "cannot be loaded: its 0 bytes are not a whole safetensors file"),
        (lambda data: data + b"\0", "cannot be loaded: it is cut, extended or changed"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "was changed since it was written"),
        (lambda data: data.replace(b'\\"attempt\\": 2', b'\\"attempt\\": 3'), "was changed since it was written"),
        (lambda data: data.replace(b'\\"loss\\": 0.3', b'\\"loss\\": 0.4'), "was changed since it was written"),
    ],
    ids=["cut", "empty", "longer", "bit", "header", "counter"],
)
def test_any_change_is_found(checkpoints: Checkpoints, harm: Any, problem: str) -> None:
    checkpoints.save(at(7))
    path = checkpoints.path(7)
    before = path.read_bytes()
    path.write_bytes(harm(before))
    assert path.read_bytes() != before
    with pytest.raises(VerificationError, match=problem):
        checkpoints.load(7)


def test_a_checkpoint_under_another_name_or_of_another_kind(checkpoints: Checkpoints) -> None:
    checkpoints.save(at(7))
    checkpoints.path(7).rename(checkpoints.path(8))
    with pytest.raises(VerificationError, match="is of step 7, attempt 2, expected those in its name"):
        checkpoints.load(8)
    save_arrays(checkpoints.path(9), {}, {"step": 9})
    with pytest.raises(VerificationError, match="contains weights, expected a checkpoint"):
        checkpoints.load(9)
    save_arrays(checkpoints.path(9), {}, {"step": 9, "kind": "checkpoint"})
    with pytest.raises(VerificationError, match="is not a checkpoint: id: Field required"):
        checkpoints.load(9)


def test_a_link_is_not_followed(checkpoints: Checkpoints, tmp_path: Path) -> None:
    checkpoints.save(at(7))
    path = checkpoints.path(7)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to("elsewhere")
    with pytest.raises(VerificationError, match="is not a plain file"):
        checkpoints.load(7)


def test_a_disk_that_stores_something_else_costs_no_older_checkpoint(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(at(1))
    checkpoints.save(at(2))
    real = disk.write
    monkeypatch.setattr(disk, "write", lambda descriptor, data: real(descriptor, bytes(data)[:-1] + b"?"))
    with pytest.raises(EnvironmentFault, match="reads differently from what was written"):
        checkpoints.save(at(3))
    assert checkpoints.load(2).step == 2
    assert checkpoints.load(1).step == 1


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_any_call_the_newest_whole_one_is_there(tmp_path: Path, faults: Faults, late: bool) -> None:
    for n in range(1, 100):
        folder = tmp_path / str(n)
        folder.mkdir()
        checkpoints = Checkpoints(folder)
        faults.disarm()
        checkpoints.save(at(1))
        checkpoints.save(at(2))
        faults.arm(n, error=Killed(), once=False, late=late)
        try:
            checkpoints.save(at(3))
        except Killed:
            faults.disarm()
            found = Checkpoints(folder).steps()
            assert [Checkpoints(folder).load(step).step for step in found] == found
            assert found[:2] in ([2, 1], [3, 2])
            continue
        break
    assert n > 10
    assert checkpoints.steps() == [3, 2]
