"""What YAML text is read as, and what is refused with which words."""

import time

import pytest

from rnnlab.config.hidden import hidden_faults
from rnnlab.config.marks import Mark
from rnnlab.config.yaml_reader import Tree, read_yaml

ELSEWHERE = "write the value out; files share keys by `extends: base.yaml`"
NO_TAG = "is not allowed — delete it: plain YAML values are enough"
CHECK = "check that this is the config you meant"


def read(text: str) -> Tree:
    return read_yaml(text, Mark("x.yaml", 1, 1))


def faults(text: str) -> list[str]:
    return [str(fault) for fault in read(text).faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-3", 0.001), ("1E3", 1000.0), ("1e+3", 1000.0), ("1.0e3", 1000.0), (".5", 0.5), ("-.5e+1", -5.0)],
        *[("0", 0), ("-0", 0), ("+7", 7), ("-12", -12), ("9" * 18, 10**18 - 1), ("0e9", 0.0), ("1.", 1.0)],
        *[(word, word) for word in ("on", "off", "yes", "no", "y", "n", "On", "NO", "nan", "inf", "none", "TruE")],
        *[("true", True), ("True", True), ("FALSE", False), ("null", None), ("NULL", None), ("~", None), ("", None)],
        *[("2024-01-01", "2024-01-01"), ("2024-01-01 10:00:00", "2024-01-01 10:00:00"), ("=", "="), ("<<", "<<")],
        *[("'010'", "010"), ('"1e400"', "1e400"), ("'695e0514'", "695e0514"), ("''", ""), ("1e5x", "1e5x")],
        *[(text, text) for text in ("adding@urnn", "${HOME}", "$(id)", "12:61", "1.2.3", "a:b", ":bomb", "x\\")],
    ],
)
def test_a_plain_scalar_is_what_people_mean(text, value):
    tree = read(f"a: {text}")
    assert tree.faults == []
    assert tree.data == {"a": value}
    assert type(tree.data["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("010", "010 is 8 to some YAML readers and 10 to others — write 8 or 10, or '010' for text"),
        ("-010", "-010 is -8 to some YAML readers and -10 to others — write -8 or -10, or '-010' for text"),
        ("08", "08 is 8 to some YAML readers and text to others — write 8, or '08' for text"),
        ("00", "00 is 0 to some YAML readers and text to others — write 0, or '00' for text"),
        ("1_000", "1_000 is 1000 to some YAML readers and text to others — write 1000, or '1_000' for text"),
        ("1_0.5", "1_0.5 is 10.5 to some YAML readers and text to others — write 10.5, or '1_0.5' for text"),
        ("1:30", "1:30 is 90 to some YAML readers and text to others — write 90, or '1:30' for text"),
        ("-1:30", "-1:30 is -90 to some YAML readers and text to others — write -90, or '-1:30' for text"),
        ("0o10", "0o10 is 8 to some YAML readers and text to others — write 8, or '0o10' for text"),
        ("0x1F", "0x1F is 31 to some YAML readers and text to others — write 31, or '0x1F' for text"),
        ("0b101", "0b101 is 5 to some YAML readers and text to others — write 5, or '0b101' for text"),
        (".nan", "finite number wanted, got .nan — write such a number, or '.nan' for text"),
        ("-.Inf", "finite number wanted, got -.Inf — write such a number, or '-.Inf' for text"),
        ("1e400", "finite number wanted, got 1e400, too large for a float — write such a number, or '1e400' for text"),
        ("1e-400", "finite number wanted, got 1e-400, too small for a float"
                   " — write such a number, or '1e-400' for text"),
        ("695e0514", "finite number wanted, got 695e0514, too large for a float"
                     " — write such a number, or '695e0514' for text"),
        ("1" * 19, "integer of 19 digits, 18 at most — write a smaller number, or put it in quotes for text"),
        ("-" + "1" * 5000, "integer of 5000 digits, 18 at most — write a smaller number, or put it in quotes for text"),
        ("0." + "1" * 99, "number of 101 characters, 100 at most — write fewer digits, or put it in quotes for text"),
        ("0x" + "f" * 9000, f"0x{'f' * 57}… is a number to some YAML readers and text to others"
                            f" — write plain digits, or '0x{'f' * 57}…' for text"),
        ('"\\e[31m"', "U+001B (control character) as character 1 of the text is not allowed — delete it"),
        ('"ab\\u202e"', "U+202E (right-to-left override) as character 3 of the text is not allowed — delete it"),
        ('"\\u2066"', "U+2066 (left-to-right isolate) as character 1 of the text is not allowed — delete it"),
        ('"\\r"', "U+000D (control character) as character 1 of the text is not allowed — delete it"),
        ('"\\0"', "U+0000 (control character) as character 1 of the text is not allowed — delete it"),
        ('"\\ud800"', "U+D800 (not a character) as character 1 of the text is not allowed — delete it"),
        ("!!python/object/apply:os.system [ls]", f"tag '!!python/object/apply:os.system' {NO_TAG}"),
        ("!!python/name:os.system", f"tag '!!python/name:os.system' {NO_TAG}"),
        ("!foo b", f"tag '!foo' {NO_TAG}"),
        ("!!binary aGk=", f"tag '!!binary' {NO_TAG}"),
        ("!!set {b}", f"tag '!!set' {NO_TAG}"),
        ("!!omap [b: 1]", f"tag '!!omap' {NO_TAG}"),
        ("!!str 5", f"tag '!!str' {NO_TAG}"),
        ("! 5", f"tag '!' {NO_TAG}"),
        ("*b", f"alias *b is not allowed — {ELSEWHERE}"),
        ("x" * 10_001, f"value of 10,001 characters, 10,000 at most — {CHECK}"),
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_value_is_refused_where_it_stands(text, message):
    assert faults(f"a: 1\nlong:\n  key: {text}") == [f"x.yaml:3:8 long.key: {message}"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("1", "a key is text, got an integer: 1 — write '1'"),
        ("1.0", "a key is text, got a number: 1.0 — write '1.0'"),
        ("true", "a key is text, got true or false: true — write 'true'"),
        ("null", "a key is text, got null: null — write 'null'"),
        ("010", "a key is text: 010 is 8 to some YAML readers and 10 to others — write '010'"),
        ("[b]", "a key is text, got a list — write `key: value`"),
        ("{b: 1}", "a key is text, got a mapping — write `key: value`"),
        ("*b ", "a key is text, got an alias — write `key: value`"),
        ("<<", "merge key << is not allowed — write the keys out; files share keys by `extends: base.yaml`"),
    ],
)
def test_a_key_is_text(key, message):
    assert faults(f"cell:\n  {key}: *x") == [f"x.yaml:2:3 cell: {message}"]


def test_words_that_yaml_1_1_takes_for_booleans_are_keys():
    assert read("on: 1\ny: 2\n2024-01-01: 3\n'1': 4\n'<<': 5").data == {
        "on": 1,
        "y": 2,
        "2024-01-01": 3,
        "1": 4,
        "<<": 5,
    }


def test_a_duplicate_key_names_both_lines_at_every_level():
    assert faults(
        "lr: 1\ncell:\n  units: 1\n  units: 2\nlr: 3\nflow: {a: 1, 'a': 2}\nlist:\n- b: 1\n  b: 1\nlr: 1"
    ) == [
        "x.yaml:4:3 cell.units: duplicate key, first given at line 3 — keep one of them",
        "x.yaml:5:1 lr: duplicate key, first given at line 1 — keep one of them",
        "x.yaml:6:14 flow.a: duplicate key, first given at line 6 — keep one of them",
        "x.yaml:9:3 list[0].b: duplicate key, first given at line 8 — keep one of them",
        "x.yaml:10:1 lr: duplicate key, first given at line 1 — keep one of them",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1", "2:1: not YAML: found character '\\t' that cannot start any token while scanning for"
                       " the next token — use spaces, not tabs"),
        ('a: "x\nb: 1', "2:5: not YAML: found unexpected end of stream while scanning a quoted scalar that starts at"
                        " line 1 — close the quotation mark"),
        ("a: [1, 2\nb: 3", "2:2: not YAML: expected ',' or ']', but got ':' while parsing a flow sequence that starts"
                           " at line 1 — close the bracket, and put a comma between its items"),
        ("a: 1\n  b: 2", "2:4: not YAML: mapping values are not allowed here — check the indent, or put text that holds"
                         " ': ' in quotes"),
        ("a: 1\nb 2", "2:4: not YAML: could not find expected ':' while scanning a simple key"
                      " — write `key: value`, with a space after the colon"),
        ('a: "\\q"', "1:6: not YAML: found unknown escape character 'q' while scanning a double-quoted scalar"
                     " — write the backslash twice, or use single quotes"),
        ('a: "\\UFFFFFFFF"', "1:7: not YAML: a number out of range — correct the escape or the directive"),
        (f"%YAML {'9' * 5000}.1\n--- {{}}", "1:7: not YAML: a number out of range"
                                           " — correct the escape or the directive"),
        ("a: 1\n---\nb: 2", "2:1: a second document starts here, one wanted"
                            " — delete the `---` line, or put each document in its own file"),
    ],
)  # fmt: skip
def test_text_that_is_not_yaml_keeps_the_line_and_column_of_the_parser(text, message):
    assert faults(text) == [f"x.yaml:{message}"]


def test_faults_before_the_text_breaks_are_kept():
    assert [fault.split(" ")[0] for fault in faults("a: 010\nb: !t 1\nc: [")] == [
        "x.yaml:1:4",
        "x.yaml:2:4",
        "x.yaml:3:5:",
    ]


def test_hidden_characters_in_the_text_stand_at_line_and_column():
    text = "# \u202e\r\nname: a\x1b\rb: \x85\ufeff"
    assert [str(fault) for fault in hidden_faults(text, Mark("x.yaml", 1, 1))] == faults(text)
    assert faults(text) == [
        "x.yaml:1:3: U+202E (right-to-left override) cannot stand in a config — delete it",
        "x.yaml:2:8: U+001B (control character) cannot stand in a config — delete it",
        "x.yaml:3:4: U+0085 (control character) cannot stand in a config — delete it",
        "x.yaml:3:5: U+FEFF (zero width no-break space) cannot stand in a config — delete it",
    ]


def test_every_value_and_key_has_its_mark():
    tree = read(
        "task:  # c\n  type: adding\n  lengths:\n    - 50\n    - {low: 1, high: [2,\n   33]}\nlast: |\n  text\n"
    )
    assert tree.data == {"task": {"type": "adding", "lengths": [50, {"low": 1, "high": [2, 33]}]}, "last": "text\n"}
    assert {path: (mark.line, mark.column) for path, mark in tree.marks.items()} == {
        (): (1, 1),
        ("task",): (2, 3),
        ("task", "type"): (2, 9),
        ("task", "lengths"): (4, 5),
        ("task", "lengths", 0): (4, 7),
        ("task", "lengths", 1): (5, 7),
        ("task", "lengths", 1, "low"): (5, 13),
        ("task", "lengths", 1, "high"): (5, 22),
        ("task", "lengths", 1, "high", 0): (5, 23),
        ("task", "lengths", 1, "high", 1): (6, 4),
        ("last",): (7, 7),
    }
    assert {path: (mark.line, mark.column) for path, mark in tree.key_marks.items()} == {
        ("task",): (1, 1),
        ("task", "type"): (2, 3),
        ("task", "lengths"): (3, 3),
        ("task", "lengths", 1, "low"): (5, 8),
        ("task", "lengths", 1, "high"): (5, 16),
        ("last",): (7, 1),
    }


@pytest.mark.parametrize("text", ["", "# only\n# comments\n", "---", "---\n# c\n...\n", "\n \n"])
def test_no_value_at_all_is_told_from_null(text):
    assert (read(text).data, read(text).marks, read(text).faults) == (None, {}, [])
    assert read("null").marks == {(): Mark("x.yaml", 1, 1)}


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 26))


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        (ALIASES, f"x.yaml:2:10 a1[0]: alias *a0 is not allowed — {ELSEWHERE}", 72),
        (MERGES, "x.yaml:2:10 a1: merge key << is not allowed — write the keys out; files share keys by "
                 "`extends: base.yaml`", 25),
        ("a: &x {b: *x}", f"x.yaml:1:11 a.b: alias *x is not allowed — {ELSEWHERE}", 1),
        ("a: " + "[" * 500 + "]" * 500, f"x.yaml:1:68: more than 64 levels deep — {CHECK}", 1),
        ("[\n" * 100_000, f"x.yaml:66:1: more than 64 levels deep — {CHECK}", 1),
        ("{a: " * 2000, f"x.yaml:1:261: more than 64 levels deep — {CHECK}", 1),
        ("- " * 9000, f"x.yaml:1:131: more than 64 levels deep — {CHECK}", 1),
        ("- 1\n" * 100_000, f"x.yaml:10000:3: more than 10,000 values and keys — {CHECK}", 1),
        ("a: " + "x" * 10**6, f"x.yaml:1:1: line of 1,000,003 characters, 20,000 at most — {CHECK}", 1),
        ("a: 1\nb: " + "1_" * 10**5, f"x.yaml:2:1: line of 200,003 characters, 20,000 at most — {CHECK}", 1),
        ("\x1b" * 10**6, "x.yaml:1:1: U+001B (control character) cannot stand in a config — delete it", 20),
    ],
    ids=["alias", "merge", "recursive", "deep", "lines", "maps", "dashes", "wide", "long", "digits", "hidden"],
)  # fmt: skip
def test_a_bomb_is_refused_at_once(text, first, count):
    start = time.perf_counter()
    found = faults(text)
    assert time.perf_counter() - start < 3
    assert (found[0], len(found)) == (first, count)


def test_complex_keys_cannot_nest_past_the_limit():
    assert faults("? " * 9000)[-1] == f"x.yaml:1:131: more than 64 levels deep — {CHECK}"


def test_limits_let_their_own_value_pass():
    assert read("a: " + "[" * 64 + "]" * 64).faults == []
    assert read("a: [" + "1,\n" * 9997 + "]").faults == []
    assert len(read("a: [" + "1,\n" * 9998 + "]").faults) == 1
    assert read("a: " + "x" * 10_000).data == {"a": "x" * 10_000}


def test_text_quoted_in_a_message_is_cut_and_escaped():
    assert faults("!" + "t" * 100 + " 1: 2")[0] == f"x.yaml:1:1: tag '!{'t' * 58}… {NO_TAG}".replace("… is", "…' is")
