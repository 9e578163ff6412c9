"""What YAML text is read as, what is an error, and that what is written reads back the same."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import rnnlab.config.yaml
from rnnlab.config.document import Node
from rnnlab.config.errors import Position
from rnnlab.config.plain import read_plain
from rnnlab.config.reading import read_document
from rnnlab.config.yaml import LONGEST_TEXT, Parsed, dump_yaml, parse
from rnnlab.core.errors import ConfigError, VerificationError

CONFIGS = Path(__file__).parents[2] / "configs"
CHECK = "check that this is the right file"


def read(text: str) -> Parsed:
    return parse(text, Position("x.yaml", 1, 1))


def data(text: str) -> object:
    parsed = read(text)
    assert parsed.errors == []
    return parsed.root.plain() if parsed.root else None


def errors(text: str) -> list[str]:
    try:
        return [str(error) for error in read(text).errors]
    except ConfigError as error:
        return [str(fault) for fault in error.faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 0.001), ("1E3", 1000.0), ("1e+3", 1000.0), ("1.0e3", 1000.0), (".5", 0.5), ("-.5e+1", -5.0)],
        *[("0", 0), ("-0", 0), ("+7", 7), ("-12", -12), ("9" * 18, 10**18 - 1), ("0e9", 0.0), ("1.", 1.0)],
        *[(word, word) for word in ("on", "off", "yes", "no", "y", "n", "On", "NO", "nan", "inf", "none", "TruE")],
        *[("true", True), ("True", True), ("FALSE", False), ("null", None), ("NULL", None), ("~", None), ("", None)],
        *[("2024-01-01", "2024-01-01"), ("=", "="), ("<<", "<<"), ("a:b", "a:b"), ("x\\", "x\\"), ("$(id)", "$(id)")],
        *[("'010'", "010"), ('"1e400"', "1e400"), ("'695e0514'", "695e0514"), ("''", ""), ("1e5x", "1e5x")],
        *[(text, text) for text in ("010", "08", "1_000", "1:30", "0o10", "0x1F", "0b101", "12:61", "1.2.3")],
    ],
)
def test_a_plain_scalar_follows_yaml_1_2_and_is_never_another_number(text: str, value: object) -> None:
    (read_value,) = data(f"a: {text}").values()  # type: ignore[attr-defined]
    assert (read_value, type(read_value)) == (value, type(value))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_both_parsers_of_pyyaml_give_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That in C, which an installation may lack, and that in Python: values and places."""
    quick = read(path.read_text())
    monkeypatch.setattr("rnnlab.config.yaml._Quick", rnnlab.config.yaml._Exact)
    assert read(path.read_text()) == quick


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".nan", "got .nan, expected a finite number — write '.nan' for text"),
        ("-.Inf", "got -.Inf, expected a finite number — write '-.Inf' for text"),
        ("1e400", "got 1e400, expected a finite number — write '1e400' for text"),
        ("1" * 19, "got an integer of 19 digits, expected at most 18 — write a smaller number, or put it in quotes"),
        ("-" + "1" * 5000, "got an integer of 5000 digits, expected at most 18 — write a smaller number"),
        ('"\\e[31m"', "contains U+001B (control character) as character 1, which is not allowed — remove it"),
        ('"ab\\u202e"', "contains U+202E (right-to-left override) as character 3, which is not allowed — remove it"),
        ('"\\0"', "contains U+0000 (control character) as character 1, which is not allowed — remove it"),
        ('"\\ud800"', "contains U+D800 (not a character) as character 1, which is not allowed — remove it"),
        ("!!python/object/apply:os.system [ls]", "tag '!!python/object/apply:os.system' is not supported — remove it"),
        ("!foo b", "tag '!foo' is not supported — remove it: plain YAML values are enough"),
        ("!!str 5", "tag '!!str' is not supported — remove it"),
        ("! 5", "tag '!' is not supported — remove it"),
        ("*b", "alias *b is not supported — repeat the value here; to share keys between files, use `extends: base"),
    ],
    ids=lambda text: text[:20],
)
def test_an_error_in_a_value_names_its_position_and_key(text: str, message: str) -> None:
    (error,) = errors(f"a: 1\nlong:\n  key: {text}")
    assert error.startswith(f"x.yaml:3:8 long.key: {message}")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("1", "a key must be text, got 1 — write '1'"),
        ("true", "a key must be text, got true — write 'true'"),
        ("null", "a key must be text, got null — write 'null'"),
        ("[b]", "a key must be text, got a list, a mapping, an alias or a tag — write `key: value`"),
        ("{b: 1}", "a key must be text, got a list, a mapping, an alias or a tag — write `key: value`"),
        (
            "<<",
            "merge key << is not supported — repeat the keys here; to share keys between files, use"
            " `extends: base.yaml`",
        ),
        ("*b ", "a key must be text, got a list, a mapping, an alias or a tag — write `key: value`"),
    ],
)
def test_a_key_must_be_text(key: str, message: str) -> None:
    assert errors(f"cell:\n  {key}: *x") == [f"x.yaml:2:3 cell: {message}"]


def test_words_that_yaml_1_1_reads_as_something_else_are_keys() -> None:
    assert data("on: 1\ny: 2\n2024-01-01: 3\n'1': 4\n'<<': 5") == {"on": 1, "y": 2, "2024-01-01": 3, "1": 4, "<<": 5}


def test_a_duplicate_key_names_both_lines_at_every_level() -> None:
    text = "lr: 1\ncell:\n  units: 1\n  units: 2\nlr: 3\nflow: {a: 1, 'a': 2}\nlist:\n- b: 1\n  b: 1\nlr: 1"
    assert errors(text) == [
        "x.yaml:4:3 cell.units: duplicate key, first used at line 3 — remove one of them",
        "x.yaml:5:1 lr: duplicate key, first used at line 1 — remove one of them",
        "x.yaml:6:14 flow.a: duplicate key, first used at line 6 — remove one of them",
        "x.yaml:9:3 list[0].b: duplicate key, first used at line 8 — remove one of them",
        "x.yaml:10:1 lr: duplicate key, first used at line 1 — remove one of them",
    ]


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("a:\n\tb: 1", "2:1", "use spaces, not tabs"),
        ('a: "x\nb: 1', "2:5", "close the quotation mark"),
        ("a: [1, 2\nb: 3", "2:2", "close the bracket, and put a comma between the items"),
        ("a: 1\n  b: 2", "2:4", "check the indentation, or put text that contains ': ' in quotes"),
        ("a: 1\nb 2", "2:4", "write `key: value`, with a space after the colon"),
        ('a: "\\q"', "1:6", "double the backslash, or use single quotes"),
        ('a: "\\UFFFFFFFF"', "1:7", "correct the escape sequence or the directive"),
        (f"%YAML {'9' * 5000}.1\n--- {{}}", "1:7", "correct the escape sequence or the directive"),
        ("a: 1\n---\nb: 2", "2:1", "remove the `---` line, or put each document in a file of its own"),
    ],
)
def test_text_that_is_not_yaml_has_the_line_and_column_of_the_parser(text: str, where: str, hint: str) -> None:
    (error,) = errors(text)
    assert error.startswith(f"x.yaml:{where}: invalid YAML: ")
    assert error.endswith(f" — {hint}")


def test_hidden_characters_in_the_text_have_line_and_column() -> None:
    assert errors("# \u202e\r\nname: a\x1b\rb: \x85\ufeff") == [
        "x.yaml:1:3: U+202E (right-to-left override) is not allowed in a config — remove it",
    ]


def positions(node: Node, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], tuple[str, str]]:
    """Return line and column of every value and of its key."""
    key = node.key_position
    found = {path: (f"{node.position.line}:{node.position.column}", f"{key.line}:{key.column}" if key else "")}
    items = (
        node.value.items()
        if isinstance(node.value, dict)
        else enumerate(node.value if isinstance(node.value, list) else ())
    )
    for name, child in items:
        found |= positions(child, (*path, name))
    return found


def test_every_value_and_key_has_its_position() -> None:
    root = read(
        "task:  # c\n  type: adding\n  lengths:\n    - 50\n    - {low: 1, high: [2,\n   33]}\nlast: |\n  text\n"
    ).root
    assert root
    assert root.plain() == {"task": {"type": "adding", "lengths": [50, {"low": 1, "high": [2, 33]}]}, "last": "text\n"}
    assert positions(root) == {
        (): ("1:1", ""),
        ("task",): ("2:3", "1:1"),
        ("task", "type"): ("2:9", "2:3"),
        ("task", "lengths"): ("4:5", "3:3"),
        ("task", "lengths", 0): ("4:7", ""),
        ("task", "lengths", 1): ("5:7", ""),
        ("task", "lengths", 1, "low"): ("5:13", "5:8"),
        ("task", "lengths", 1, "high"): ("5:22", "5:16"),
        ("task", "lengths", 1, "high", 0): ("5:23", ""),
        ("task", "lengths", 1, "high", 1): ("6:4", ""),
        ("last",): ("7:7", "7:1"),
    }


@pytest.mark.parametrize("text", ["", "# only\n# comments\n", "---", "---\n# c\n...\n", "\n \n"])
def test_a_text_without_a_value_has_no_root(text: str) -> None:
    assert read(text).root is None


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 26))
DEEP, MANY = f"more than 64 levels of nesting — {CHECK}", f"more than 10,000 values and keys — {CHECK}"


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        (ALIASES, "x.yaml:2:10 a1[0]: alias *a0 is not supported", 72),
        (MERGES, "x.yaml:2:10 a1: merge key << is not supported", 25),
        ("a: &x {b: *x}", "x.yaml:1:11 a.b: alias *x is not supported", 1),
        ("a: " + "[" * 500 + "]" * 500, f"x.yaml:1:68: {DEEP}", 1),
        ("[\n" * 100_000, f"x.yaml:66:1: {DEEP}", 1),
        ("{a: " * 2000, f"x.yaml:1:258: {DEEP}", 1),
        ("- " * 9000, f"x.yaml:1:131: {DEEP}", 1),
        ("? " * 9000, f"x.yaml:1:131: {DEEP}", 1),
        ("- 1\n" * 100_000, f"x.yaml:10000:3: {MANY}", 1),
        ("a: >\n" + (" " + "1" * 9_999 + "\n") * 100, "x.yaml:1:4 a: got a text of 1,000,", 1),
        ("\x1b" * 10**6, "x.yaml:1:1: U+001B (control character) is not allowed in a config — remove it", 1),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_text_made_to_exhaust_memory_or_time_is_an_error_at_once(text: str, first: str, count: int) -> None:
    start = time.perf_counter()
    found = errors(text)
    assert time.perf_counter() - start < 3
    assert len(found) == count
    assert "".join(found[:1]).startswith(first)


def test_what_is_at_the_limit_is_allowed() -> None:
    assert errors("a: " + "[" * 64 + "]" * 64) == []
    assert errors("a: [" + "1,\n" * 9997 + "]") == []
    assert len(errors("a: [" + "1,\n" * 9998 + "]")) == 1
    assert data("a: " + "x" * 10_000) == {"a": "x" * 10_000}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(None, "null"), (True, "true"), (False, "false"), (0, "0"), (-7, "-7"), (10**18 - 1, "9" * 18)],
        *[(0.001, "0.001"), (1e-5, "1.0e-05"), (1.5e300, "1.5e+300"), (1e22, "1.0e+22"), (5e-324, "5.0e-324")],
        *[(0.1 + 0.2, "0.30000000000000004"), (2.0, "2.0"), (-0.0, "-0.0")],
        *[(text, text) for text in ("adding@urnn", "plain words", "a-b_c.d/e+f", "none", "inf", "e5", "_1")],
        *[(text, f"'{text}'") for text in ("695e0514", "1e5", "12e03", "010", "08", "1_000", "1:30", "0x1F", "0o10")],
        *[(text, f"'{text}'") for text in ("on", "No", "y", "null", "~", "", "true", ".nan", "1", "-", "=", "<<")],
        *[(text, f"'{text}'") for text in ("2024-01-01", "a: b", "a #b", " a", "a ", "[/b]", "{7}", "!t", "%s", "@a")],
        *[([], "[]"), ({}, "{}"), ((), "[]")],
    ],
)
def test_a_scalar_is_written_so_that_readers_of_yaml_1_1_agree(value: object, text: str) -> None:
    written = dump_yaml({"key": value})
    expected = {"key": [] if value == () else value}
    assert written == f"key: {text}\n"
    assert repr(data(written)) == repr(yaml.safe_load(written)) == repr(read_plain(written)) == repr(expected)


def test_keys_keep_their_order_and_nothing_is_written_as_an_alias() -> None:
    shared = [1]
    assert dump_yaml({"z": shared, "a": shared}) == "z:\n- 1\na:\n- 1\n"


def test_other_objects_are_not_written() -> None:
    with pytest.raises(yaml.YAMLError):
        dump_yaml({"key": object()})


@pytest.mark.parametrize("text", ["a: [", "a: \x1b", "[" * 5000, "a: *b"])
def test_damaged_text_is_no_plain_data(text: str) -> None:
    with pytest.raises(VerificationError, match="invalid YAML"):
        read_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "- 1", "text", "", "a: &a [*a]", ALIASES, MERGES.replace("<<", "!!merge <<"), "a: .nan", "a: -.INF", "1: 2",
        "{[a]: 1}", "null: 1", "? {a: 1}\n: 2", "a: !!binary aGk=", "a: !!set {b}", "a: !!int x",
        "a: !!timestamp 2001-01-01", "a: !!python/name:os.system", "a: !!float 1e", f"a: {10**18}",
        f"a: -{10**400}", f"a: {'9' * 5000}",
        f"a: {'x' * (LONGEST_TEXT + 1)}", f"? {'x' * (LONGEST_TEXT + 1)}\n: 1", "a: [" + "1, " * 10_000 + "]",
        "a: " + "[" * 65 + "]" * 65,
    ],
)  # fmt: skip
def test_what_a_config_cannot_have_is_no_plain_data(text: str) -> None:
    with pytest.raises(VerificationError):
        read_plain(text)


def test_text_has_a_bound() -> None:
    (error,) = errors("a: " + "x" * (LONGEST_TEXT + 1))
    assert "10,001 characters" in str(error)


@pytest.mark.parametrize("text", ["a: 2001-01-01", "a: 1:30", "a: 0x1F", "a: 0777", "a: 1_000", "a: on", "<<: a"])
def test_both_readers_agree_on_what_a_scalar_means(text: str) -> None:
    assert read_plain(text) == data(text) if text != "<<: a" else read_plain(text) == {"<<": "a"}


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_reads_back_the_same(config: Path) -> None:
    given = read_document(config).data
    written = dump_yaml(given)
    assert repr(data(written)) == repr(read_plain(written)) == repr(given)


ALPHABET = [*"aeon01.:#-_ '\"\\[]{},&*!|>%@`~?=<+\n\té", "😀", "null", "1e5", "0x", " #", ": ", "yes"]


def random_value(rng: np.random.Generator, depth: int) -> object:
    kind = rng.integers(8 if depth < 5 else 6)
    text = "".join(rng.choice(ALPHABET, size=rng.integers(0, 7)))
    leaves = [None, bool(rng.integers(2)), int(rng.integers(-(10**17), 10**17)), text, text]
    if kind < 5:
        return leaves[kind]
    if kind == 5:
        return float(rng.standard_normal() * 10.0 ** rng.integers(-300, 300))
    items = [random_value(rng, depth + 1) for _ in range(rng.integers(0, 5))]
    return items if kind == 6 else {f"{text}{i}": item for i, item in enumerate(items)}


@pytest.mark.parametrize("seed", range(50))
def test_random_data_read_back_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(4):
        given = {"".join(rng.choice(ALPHABET, size=3)): random_value(rng, 0) for _ in range(5)}
        written = dump_yaml(given)
        assert repr(data(written)) == repr(yaml.safe_load(written)) == repr(read_plain(written)) == repr(given)


def test_a_number_that_is_not_finite_is_written_but_is_an_error_to_read() -> None:
    assert len(errors(dump_yaml({"a": math.nan, "b": -math.inf}))) == 2
