from pathlib import Path

import pytest

from rnnlab.core.errors import VerificationError
from rnnlab.storage.sealed_yaml import read_sealed, sealed

ID = "0123456789abcdef"
TEXT = "seed: 1\nname: é\n"


def test_the_text_comes_back_and_every_other_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "resolved.yaml"
    data = sealed(TEXT, ID)
    path.write_bytes(data)
    assert read_sealed(path, 1000, ID) == read_sealed(path, 1000, None) == TEXT
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(VerificationError):
            read_sealed(path, 1000, ID)
    for other in (TEXT.encode(), b"", data[:-1], data + b"\n", data + data, b"x" + data, sealed("", ID) + data):
        path.write_bytes(other)
        with pytest.raises(VerificationError, match="was changed since it was written"):
            read_sealed(path, 1000, ID)


def test_it_is_of_one_run(tmp_path: Path) -> None:
    path = tmp_path / "resolved.yaml"
    path.write_bytes(sealed(TEXT, "f" * 16))
    with pytest.raises(VerificationError) as caught:
        read_sealed(path, 1000, ID)
    assert (caught.value.problem, caught.value.where) == ("is of another run", str(path))
