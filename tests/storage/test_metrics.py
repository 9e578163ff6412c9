import errno
import json
import os
import resource
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.storage import disk
from rnnlab.storage.append import AppendFile
from rnnlab.storage.metrics import LONGEST_LINE, read_metrics
from tests.disk_faults import Faults

ID = "0123456789abcdef"


def record(step: int, **values: Any) -> dict[str, Any]:
    return {"step": step, "sequences": 2 * step, "seconds": 0.5 * step, **values}


RECORDS = [record(n, **{"train/loss": 1.5 / n, "é\n\x1b": None}) for n in (1, 2, 3)]


def written(path: Path, records: list[dict[str, Any]] = RECORDS) -> bytes:
    with AppendFile(path, id=ID) as writer:
        for one in records:
            writer.write(one)
    return path.read_bytes()


def test_a_line_is_exactly_this(tmp_path: Path) -> None:
    place = {"step": 10, "sequences": 20, "seconds": 5.0}
    measured = {"loss": float("nan"), "f": np.float32(0.5), "n": np.int64(3), "up": float("inf"), "s": None}
    text = b'{"id":"0123456789abcdef","step":10,"sequences":20,"seconds":5.0,'
    text += b'"loss":null,"f":0.5,"n":3,"up":null,"s":null,"nonfinite":["loss","up"]}'
    assert written(tmp_path / "m", [place | measured]) == text[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(text)
    values = {**place, "loss": None, "f": 0.5, "n": 3, "up": None, "s": None, "nonfinite": ["loss", "up"]}
    assert read_metrics(tmp_path / "m").records == [values]


def test_round_trip_and_second_writer(tmp_path: Path) -> None:
    written(tmp_path / "m", RECORDS[:2])
    written(tmp_path / "m", RECORDS[2:])
    metrics = read_metrics(tmp_path / "m")
    assert metrics.records == RECORDS
    assert not metrics.torn


@pytest.mark.parametrize(
    "bad", [{"loss": 1.0}, {"step": 1.0}, {"step": True}, {"step": 1, "crc": "x"}, {"step": 1, "id": ID}]
)
def test_a_record_needs_a_step_and_none_of_our_names(tmp_path: Path, bad: dict[str, Any]) -> None:
    with AppendFile(tmp_path / "m", id=ID) as writer, pytest.raises(ValueError, match="a record needs a whole `step`"):
        writer.write(bad)


def test_one_record_is_one_write(tmp_path: Path, faults: Faults) -> None:
    with AppendFile(tmp_path / "m", id=ID) as writer:
        faults.calls.clear()
        writer.write(RECORDS[0])
        writer.sync()
    assert faults.calls == ["write", "fsync", "close"]


def test_cut_at_every_byte_gives_every_whole_record_and_the_next_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "m"
    data = written(path)
    ends = [n for n in range(len(data)) if data[n : n + 1] == b"\n"]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        metrics = read_metrics(path)
        assert metrics.records == RECORDS[:whole]
        assert metrics.torn == (cut not in {0, *ends, *(end + 1 for end in ends)})
        written(path, [record(9)])
        assert read_metrics(path).records == [*RECORDS[:whole], record(9)]
        assert path.read_bytes().startswith(data[:cut])


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m"
    data = written(path)
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            metrics = read_metrics(path)
        except VerificationError as fault:
            line = data.count(b"\n", 0, bit // 8) + 1
            assert fault.where == f"{path}:{line}"  # noqa: PT017
        else:
            raise AssertionError(bit, metrics)


@pytest.mark.parametrize(
    ("change", "line", "symptom"),
    [
        (lambda d: b"\xef\xbb\xbf" + d, 1, "it starts with a byte-order mark, so an editor has rewritten the file"),
        (lambda d: d.replace(b"\n", b"\r\n"), 1, "it ends in CR LF, so an editor or a transfer in text mode has"),
        (lambda d: d.replace(b'"step":2', b'"step":\0', 1), 2, "it contains NUL bytes"),
        (lambda d: d.replace(b'"step":2', b'"step":5', 1), 2, "its checksum is missing or does not match its content"),
        (lambda d: d.replace(b'"step":3', b'"step":5', 1), 3, "its checksum is missing or does not match its content"),
        (lambda d: d + b'{"step":4}\n', 4, "its checksum is missing or does not match its content"),
        (lambda d: b"\n" + d, 1, "its checksum is missing or does not match its content"),
        (lambda d: b"garbage\n" + d, 1, "its checksum is missing or does not match its content"),
        (lambda d: d + b"x" * (LONGEST_LINE + 9), 4, "longer than 1,048,576 bytes"),
        (lambda d: d[:20] + d, 1, "its checksum is missing or does not match its content"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, change: Any, line: int, symptom: str) -> None:
    path = tmp_path / "m"
    path.write_bytes(change(written(path)))
    with pytest.raises(VerificationError) as caught:
        read_metrics(path)
    assert str(caught.value).startswith(f"{path}:{line}: the record is damaged: {symptom}")


def test_an_endless_line_takes_no_memory(tmp_path: Path) -> None:
    written(tmp_path / "m")
    os.truncate(tmp_path / "m", 1 << 26)
    tracemalloc.start()
    with pytest.raises(VerificationError, match="longer than 1,048,576 bytes"):
        read_metrics(tmp_path / "m")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 23


def vouched(text: bytes) -> bytes:
    return text[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(text)


WHOLE = {"id": ID, "step": 1, "sequences": 2, "seconds": 0.5}


@pytest.mark.parametrize("text", [b"[1]", b'{"step":1,"a":NaN}', b'{"step":1,"step":2}', b'{"step":1,"a":1e999}'])
def test_a_right_checksum_does_not_excuse_wrong_json(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "m").write_bytes(vouched(json.dumps(WHOLE).encode()))
    assert read_metrics(tmp_path / "m").records
    (tmp_path / "m").write_bytes(vouched(text))
    with pytest.raises(VerificationError):
        read_metrics(tmp_path / "m")


@pytest.mark.parametrize(
    "change",
    [
        *({"step": value} for value in (None, "1", True, 1.0, -1, 10**12 + 1, [1])),
        *({"sequences": value} for value in (None, "1", 1.5, -1, 1 << 63)),
        *({"seconds": value} for value in (None, "1", True, -0.5, 1e13, [0.5])),
        *({"a": value} for value in (True, "text", {"b": 1}, [[1]], [True], 1 << 63, 10**400, [0] * 10_001)),
        {"a" * 201: 1},
        *({"id": value} for value in (None, 1, "x", [], "1" * 16)),
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_right_checksum_does_not_excuse_a_wrong_value(tmp_path: Path, change: dict[str, Any]) -> None:
    """In a record that is missing a field too."""
    for wrong in (WHOLE | change, {key: value for key, value in WHOLE.items() if key not in change}):
        (tmp_path / "m").write_bytes(vouched(json.dumps(wrong).encode()))
        if wrong != WHOLE:
            with pytest.raises(VerificationError, match="the record does not fit: it"):
                read_metrics(tmp_path / "m", ID)


def test_a_record_of_another_run_is_named(tmp_path: Path) -> None:
    written(tmp_path / "m", RECORDS[:2])
    with AppendFile(tmp_path / "m", id="f" * 16) as writer:
        writer.write(RECORDS[2])
    for of in (None, ID):
        with pytest.raises(VerificationError) as caught:
            read_metrics(tmp_path / "m", of)
        assert caught.value.where == f"{tmp_path / 'm'}:3"


def test_ten_thousand_records_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "m"
    measured = {f"validation/{name}": 0.123456789 for name in "abcde"}
    line = written(path, [record(3, **measured)])
    path.write_bytes(line * 10_000)
    began = time.process_time()
    assert len(read_metrics(path).records) == 10_000
    assert time.process_time() - began < 0.4  # 0.11 on the machine it was measured on


def test_zeros_after_a_power_cut_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "m"
    data = written(path)
    for tail in (b"\0" * 4096, b"\0" * 50 + b'.5,"crc":"00000000"}\n'):
        path.write_bytes(data + tail)
        assert read_metrics(path).records == RECORDS
        assert read_metrics(path).torn


def test_a_full_disk_tears_one_record_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "m"
    one = len(written(path, RECORDS[:1]))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AppendFile(path, id=ID) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (one + 10, before[1]))
        try:
            with pytest.raises(EnvironmentFault, match="File too large"):
                writer.write(RECORDS[1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert len(path.read_bytes()) == one + 10
        assert read_metrics(path).torn
        writer.write(RECORDS[2])
    assert read_metrics(path).records == [RECORDS[0], RECORDS[2]]
    assert not read_metrics(path).torn


@pytest.mark.parametrize("late", [False, True])
def test_each_call_failing_loses_at_most_the_records_refused(tmp_path: Path, faults: Faults, late: bool) -> None:
    for n in range(1, 7):
        path, accepted = tmp_path / f"{n}{late}", []
        faults.arm(n, error=OSError(errno.EIO, ""), late=late)
        for record in RECORDS:
            try:
                with AppendFile(path, id=ID) as writer:
                    writer.write(record)
                    accepted.append(record)
            except EnvironmentFault:
                continue
        faults.disarm()
        found = read_metrics(path).records
        assert [record for record in found if record in accepted] == accepted
        assert len(accepted) >= 2
        assert len(found) == (3 if n == 6 or (late and n == 5) else 2)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "write", lambda descriptor, data: os.write(descriptor, data[:5]))
    written(tmp_path / "m")
    assert read_metrics(tmp_path / "m").records == RECORDS


def test_append_refuses_links_of_both_kinds_and_pipes(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"v")
    (tmp_path / "soft").symlink_to(victim)
    (tmp_path / "hard").hardlink_to(victim)
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (
        ("soft", "is not a plain file (a link, a folder, a pipe or a device)"),
        ("pipe", "is not a plain file (a link, a folder, a pipe or a device)"),
        ("hard", "has 2 names (hard links), expected one"),
    ):
        with pytest.raises(VerificationError) as caught:
            AppendFile(tmp_path / name)
        assert caught.value.problem == problem
    assert victim.read_bytes() == b"v"


def test_append_to_a_folder_that_is_gone_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot open: No such file or directory"):
        AppendFile(tmp_path / "gone" / "log.txt")
