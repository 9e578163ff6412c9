"""Config files from disk: which files are read, how `extends` lays them over each other, where values come from."""

import math
import os
import random
import re
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from rnnlab.config.errors import raise_all
from rnnlab.config.reading import document_of_data, read_document
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import ConfigError

START = "start with `task: adding`, or with what `rnnlab configs quickstart` prints"
EMPTY = f"the config is empty — {START}"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(**files: str | bytes) -> None:
    for name, text in files.items():
        Path(f"{name}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())


def refusal(name: str = "x.yaml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        raise_all(read_document(Path(name)).errors)
    assert caught.value.exit_code == 2
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_keeps_its_bytes_and_its_positions(mark, line_end):
    raw = mark + f"name: café{line_end}cell: {{units: 8}}{line_end}".encode()
    write(x=raw)
    document = read_document(Path("x.yaml"))
    assert (document.data, document.raw) == ({"name": "café", "cell": {"units": 8}}, raw)
    assert str(document.position(("name",))) == "x.yaml:1:7"
    assert document.where(("cell", "units")) == "x.yaml:2:15 cell.units"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", f"x.yaml: {EMPTY}"),
        (b"# one\n# two\n", f"x.yaml: {EMPTY}"),
        (b"---\n", f"x.yaml: {EMPTY}"),
        (b"\xef\xbb\xbf", f"x.yaml: {EMPTY}"),
        (b"# c\n- 1\n", f"x.yaml:2:1: got a list, expected a mapping of keys to values — {START}"),
        (b"12", f"x.yaml:1:1: got an integer, expected a mapping of keys to values — {START}"),
        (b"seed:1", f"x.yaml:1:1: got text, expected a mapping of keys to values — {START}"),
        (b"null", f"x.yaml:1:1: got null, expected a mapping of keys to values — {START}"),
        ("a: 1".encode("utf-16"), "x.yaml:1:1: byte 0xff is not UTF-8 — save the file as UTF-8"),
        ("a: 1".encode("utf-16-le"), "x.yaml:1:2: U+0000 (control character) is not allowed in a config — remove it"),
        (b"a: 1\nb: \xc3\xa9\xff", "x.yaml:2:5: byte 0xff is not UTF-8 — save the file as UTF-8"),
        (b"\xef\xbb\xbfa\xe9", "x.yaml:1:2: byte 0xe9 is not UTF-8 — save the file as UTF-8"),
        (b"\xef\xbb\xbf\xc3\xa9a\xa9", "x.yaml:1:3: byte 0xa9 is not UTF-8 — save the file as UTF-8"),
        (
            b"#" * (2**20 + 1),
            "x.yaml: has 1,048,577 bytes, more than the 1,048,576 that are read"
            " — give the path of a YAML file that you may read",
        ),
    ],
    ids=range(14),
)
def test_bytes_that_hold_no_config(raw, message):
    write(x=raw)
    assert refusal() == [message]


def test_a_huge_file_is_not_read_whole():
    with Path("x.yaml").open("wb") as file:
        file.truncate(100 << 30)
    start = time.perf_counter()
    assert refusal()[0].startswith("x.yaml: has 107,374,182,400 bytes, more than the 1,048,576 that are read")
    assert time.perf_counter() - start < 0.5


def test_only_regular_files_are_read_and_nothing_blocks():
    may = "give the path of a YAML file that you may read"
    os.mkfifo("pipe.yaml")
    Path("folder.yaml").mkdir()
    Path("loop.yaml").symlink_to("loop.yaml")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.yaml")
        for name in ("pipe.yaml", "folder.yaml", "socket.yaml", "/dev/zero"):
            problem = "is a folder, a pipe or a device, expected a regular file"
            assert refusal(name) == [f"{name}: {problem} — {may}"]
    assert refusal("loop.yaml") == [f"loop.yaml: cannot be read: Too many levels of symbolic links — {may}"]
    assert refusal("loop.yaml\0") == [f"loop.yaml\\x00: cannot be read: not a path — {may}"]
    assert refusal("a" * 300)[0].endswith(f"cannot be read: File name too long — {may}")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_without_permission():
    write(x="a: 1")
    Path("x.yaml").chmod(0)
    assert refusal() == ["x.yaml: cannot be read: Permission denied — give the path of a YAML file that you may read"]


def test_a_missing_file_names_the_nearest():
    assert refusal("quikstart.yaml") == [
        "quikstart.yaml: no such file — did you mean quickstart, which comes with rnnlab?"
    ]
    write(quickstart="a: 1", zebra="a: 1")
    assert refusal("quikstart.yaml") == ["quikstart.yaml: no such file — did you mean quickstart.yaml?"]
    assert refusal("zebra") == ["zebra: no such file — did you mean zebra.yaml?"]
    assert refusal("adder") == ["adder: no such file — the folder has quickstart.yaml, zebra.yaml"]
    assert refusal("no/x.yaml") == ["no/x.yaml: no such file — the folder no does not exist or cannot be listed"]
    assert refusal("\x1b[31m.yaml")[0].startswith("\\x1b[31m.yaml: no such file")


def test_extends_merges_mappings_and_replaces_the_rest():
    write(
        base="seed: 1\ntask: {type: adding, lengths: [1, 2], low: 5}\ncell:\n  type: carry\n  units: 8\n"
        "schedule: {a: 1}",
        x="cell:\n  units: 16\nextends: base.yaml\ntask: {lengths: [3]}\nschedule: null\nname: new",
    )
    document = read_document(Path("x.yaml"))
    assert list(document.data.items()) == [
        ("seed", 1),
        ("task", {"type": "adding", "lengths": [3], "low": 5}),
        ("cell", {"type": "carry", "units": 16}),
        ("schedule", None),
        ("name", "new"),
    ]
    assert document.raw == Path("x.yaml").read_bytes()
    expected = {
        (): "x.yaml:1:1",
        ("seed",): "base.yaml:1:7",
        ("task",): "x.yaml:4:7",
        ("task", "type"): "base.yaml:2:14",
        ("task", "lengths"): "x.yaml:4:17",
        ("task", "lengths", 0): "x.yaml:4:18",
        ("task", "low"): "base.yaml:2:44",
        ("cell",): "x.yaml:2:3",
        ("cell", "type"): "base.yaml:4:9",
        ("cell", "units"): "x.yaml:2:10",
        ("schedule",): "x.yaml:5:11",
        ("name",): "x.yaml:6:7",
    }
    assert {path: str(document.position(path)) for path in expected} == expected
    assert str(document.key_position(("task",))) == "x.yaml:4:1"


def test_of_several_bases_the_later_wins_and_each_is_relative_to_its_own_file():
    Path("deep").mkdir()
    write(x="extends: [one.yaml, deep/two.yaml]\nd: 4", one="a: 1\nb: 1", common="c: 3\nb: 3\nd: 3")
    Path("deep/two.yaml").write_text("extends: ../common.yaml\nb: 2")
    document = read_document(Path("x.yaml"))
    assert document.data == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert str(document.position(("c",))) == "deep/../common.yaml:1:4"


def test_errors_of_a_base_shared_by_two_bases_are_reported_once():
    write(x="extends: [l.yaml, r.yaml]", l="extends: b.yaml\nl: 1", r="extends: b.yaml\nr: 1", b="b: 1\nb2: .inf")
    assert refusal() == ["b.yaml:2:5 b2: got .inf, expected a finite number — write '.inf' for text"]
    write(b="b: 1")
    document = read_document(Path("x.yaml"))
    assert document.data == {"b": 1, "l": 1, "r": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"x": "a: 1\nextends: x.yaml"},
            "x.yaml:2:10 extends: x.yaml extends x.yaml: a file cannot extend itself — remove one of these `extends`",
        ),
        (
            {"x": "extends: b.yaml", "b": "extends: [c.yaml]", "c": "extends: ./x.yaml"},
            "c.yaml:1:10 extends: x.yaml extends b.yaml extends c.yaml extends x.yaml: a file cannot extend itself"
            " — remove one of these `extends`",
        ),
        (
            {"x": "extends: b.yaml", "b": "extends:\n- xx.yaml"},
            "b.yaml:2:3 extends[0]: x.yaml extends b.yaml extends xx.yaml: no such file — did you mean x.yaml?",
        ),
        (
            {"x": "extends: /dev/zero"},
            "x.yaml:1:10 extends: x.yaml extends /dev/zero: is a folder, a pipe or a device, expected a regular file"
            " — give the path of a YAML file that you may read",
        ),
        (
            {"x": f"extends: [{', '.join(f'b{i}.yaml' for i in range(64))}]"} | {f"b{i}": "a: 1" for i in range(64)},
            "x.yaml:1:631 extends[63]: x.yaml extends b63.yaml: more than 64 files — merge some of the files",
        ),
        ({"x": "extends: 3"}, "x.yaml:1:10 extends: got an integer, expected a file name — write `extends: base.yaml`"),
        ({"x": "extends:"}, "x.yaml:1:9 extends: got null, expected a file name — write `extends: base.yaml`"),
        (
            {"x": "extends: ['', {a: 1}]", "y": ""},
            "x.yaml:1:11 extends[0]: got an empty name, expected a file name — write `extends: base.yaml`\n"
            "x.yaml:1:15 extends[1]: got a mapping, expected a file name — write `extends: base.yaml`",
        ),
        (
            {"x": "extends: b.yaml\na: !t 1", "b": "a: 1\na: 2", "c": ""},
            "x.yaml:2:4 a: tag '!t' is not supported — remove it: plain YAML values are enough\n"
            "b.yaml:2:1 a: duplicate key, first used at line 1 — remove one of them",
        ),
    ],
    ids=["self", "cycle", "missing", "device", "files", "integer", "null", "kinds", "both"],
)
def test_bases_that_cannot_be_read_name_the_chain(files, message):
    write(**files)
    assert refusal() == message.split("\n")


def test_what_is_absent_has_the_position_of_the_nearest_key_around_it():
    write(x="# c\ntraining:\n  steps: 5\n  lengths: [1, {a: 2}]\n")
    document = read_document(Path("x.yaml"))
    assert document.where(("training", "batch_size")) == "x.yaml:2:1 training.batch_size"
    assert document.where(("cell",)) == "x.yaml:2:1 cell"
    assert document.where(("training", "steps")) == "x.yaml:3:10 training.steps"
    assert str(document.key_position(("training", "steps"))) == "x.yaml:3:3"
    assert document.where(("training", "lengths", 1, "b")) == "x.yaml:4:16 training.lengths[1].b"
    assert str(document.key_position(("training", "lengths", 0))) == "x.yaml:4:13"


def test_only_so_many_faults_are_shown():
    write(x="".join(f"a{i}: .inf\n" for i in range(25)))
    found = refusal()
    assert len(found) == 21
    assert found[19].startswith("x.yaml:20:6 a19: got .inf")
    assert found[20] == "5 more errors — correct these first"


def test_every_message_is_one_line_without_a_control_character():
    write(x="a: \x1b]0;t\x07\nb: 1")
    write(y='a: "\\e]0;t\\a"\n"b\\u202ec": .inf\n')
    for message in refusal() + refusal("y.yaml"):
        assert re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\u202e]+ — [^\x00-\x1f]+", message)


PIECES = [*"a1:-?[]{},#&*!|>%@`'\"\\~<= \n\t"]
PIECES += ["\r\n", ": ", "- ", "\n  ", "---", "...", "<<", "!!", "%TAG", "\\x", "\\U", "extends: "]


@pytest.mark.parametrize("seed", range(50))
def test_any_text_is_a_config_or_an_error_in_one_line(seed):
    rng = random.Random(seed)
    outcomes = set()
    for _ in range(40):
        text = "".join(rng.choices(PIECES, k=rng.randrange(1, 30)))
        write(x=text)
        try:
            document = read_document(Path("x.yaml"))
            raise_all(document.errors)
            outcomes.add(type(document.data))
        except ConfigError as error:
            outcomes |= {(bool(fault.hint), "\n" in str(fault)) for fault in error.faults}
    assert outcomes - {dict} == {(True, False)}


def test_python_data_is_a_config_if_yaml_can_express_it():
    given = {"a": (1, np.int64(2)), "b": {"c": np.float32(0.5)}, "d": Path("x"), "e": None}
    document = document_of_data(given)
    assert repr(document.data) == "{'a': [1, 2], 'b': {'c': 0.5}, 'd': 'x', 'e': None}"
    assert document_of_data(document.data).raw == document.raw == dump_yaml(document.data).encode()
    assert document.where(("b", "c")) == "config b.c"
    with pytest.raises(ConfigError) as caught:
        document_of_data({"a": math.nan, "b": [object()], 3: 1})
    assert sorted(str(fault).partition(", ")[0] for fault in caught.value.faults) == [
        "config a: got nan", "config b[0]: got object", "config: a key must be text",
    ]  # fmt: skip
