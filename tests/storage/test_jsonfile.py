import hashlib
from pathlib import Path

import pytest

from rnnlab.core.errors import VerificationError
from rnnlab.storage.jsonfile import read_json, write_json


def test_written_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": ["é\x1b\udcff", 0.1, None]})
    text = b'{\n  "b": 1,\n  "a": [\n    "\\u00e9\\u001b\\udcff",\n    0.1,\n    null\n  ]'
    digest = hashlib.sha256(text + b"\n}\n").hexdigest().encode()
    assert (tmp_path / "a").read_bytes() == text + b',\n  "sha256": "' + digest + b'"\n}\n'
    assert read_json(tmp_path / "a") == {"b": 1, "a": ["é\x1b\udcff", 0.1, None]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_numbers_are_never_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a", {"a": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b'{\n"a": 1,\n"b": {"a": 2,\n"a": 3}\n}', 4, "is not valid JSON: the key 'a' is given twice"),
        (b'{"a": "NaN",\n"b": NaN}', 2, "is not valid JSON: NaN is not a finite number"),
        (b'{"a":\n\n-Infinity}', 3, "is not valid JSON: -Infinity is not a finite number"),
        (b'{"a":\n1e400}', 2, "is not valid JSON: 1e400 is not a finite number"),
        (b'{"a": 1,\n"b"', 2, "is not valid JSON: Expecting ':' delimiter (column 4)"),
        (b"", 1, "is not valid JSON: Expecting value (column 1)"),
        (b'{"a": 1}\n{}', 2, "is not valid JSON: Extra data (column 1)"),
        (b'{"a":\n"\xff"}', 2, "is not valid JSON: byte 7 is not UTF-8"),
        (b"[" * 100_000, 1, "is not valid JSON: nested too deep"),
        (b'{"a":1,"\\u0061":2}}}', 1, "is not valid JSON: the key 'a' is given twice"),
        (b'{"\x1b":1}', 1, "is not valid JSON: Invalid control character at (column 3)"),
        (b'{"\\u001b":1,\n"\\u001b":2}', 2, r"is not valid JSON: the key '\x1b' is given twice"),
        (b"[1]", 1, "is a list, expected an object"),
        (b"null", 1, "is a NoneType, expected an object"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_line(tmp_path: Path, text: bytes, line: int, problem: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(text)
    with pytest.raises(VerificationError) as caught:
        read_json(path)
    assert str(caught.value) == f"{path}:{line}: {problem}"


def test_byte_order_mark_and_huge_integer_are_refused(tmp_path: Path) -> None:
    for text in (b'\xef\xbb\xbf{"a": 1}', b'{"a": ' + b"9" * 5000 + b"}"):
        (tmp_path / "a").write_bytes(text)
        with pytest.raises(VerificationError, match="is not valid JSON"):
            read_json(tmp_path / "a")


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_json(path, {"state": "completed", "loss": 0.25})
    data = path.read_bytes()
    flipped = [data[:n] + bytes([data[n] ^ 1 << bit]) + data[n + 1 :] for n in range(len(data)) for bit in range(8)]
    for text in [*flipped, *(data[:n] for n in range(len(data))), data + b"\n", data.rstrip()]:
        path.write_bytes(text)
        with pytest.raises(VerificationError):
            read_json(path)
