"""`--set key=value`: typed as in a file, checked all at once, with positions of its own."""

import time

import pytest

from rnnlab.config.document import Document
from rnnlab.config.errors import Position, raise_all
from rnnlab.config.reading import apply_overrides, document_of
from rnnlab.core.errors import ConfigError

TEXT = "seed: 1\ntask:\n  lengths: [1, 2]\n  range: {low: 0, high: 1}\nschedule: null\n"
JOINED = "join keys by dots, as in training.steps; set a list as a whole: key=[1, 2]"


def document() -> Document:
    return document_of(TEXT, "x.yaml")


def refusal(*overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        raise_all(apply_overrides(document(), overrides).errors)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=500", ("seed",), 500),
        ("seed=1e-3", ("seed",), 0.001),
        ("seed= 7 ", ("seed",), 7),
        ("seed=null", ("seed",), None),
        ("seed=''", ("seed",), ""),
        ("seed='#1'", ("seed",), "#1"),
        ("seed=a#b", ("seed",), "a#b"),
        ("seed=on", ("seed",), "on"),
        ("seed=a=b", ("seed",), "a=b"),
        ("seed=[/bold]", ("seed",), ["/bold"]),
        ("__class__=x", ("__class__",), "x"),
        ("task.range={low: 1}", ("task", "range"), {"low": 1}),
        ("task.lengths=[5, 1e3]", ("task", "lengths"), [5, 1000.0]),
        ("task=parity", ("task",), "parity"),
        ("a.b.c=1", ("a", "b", "c"), 1),
        ("schedule.type=cosine", ("schedule", "type"), "cosine"),
    ],
)
def test_a_value_is_typed_as_in_a_file(override, path, value):
    edited = apply_overrides(document(), [override])
    found = edited.data
    for key in path:
        found = found[key]
    assert (found, type(found)) == (value, type(value))
    assert edited.position(path) == edited.key_position(path) == Position(f"--set {override}")
    assert edited.where(path) == f"--set {override}"


def test_the_rest_stays_and_the_document_given_is_not_changed():
    given = document()
    edited = apply_overrides(given, ["task.range={low: 1}", "task.extra.deep=2", "seed=2", "seed=3"])
    assert edited.data == {
        "seed": 3,
        "task": {"lengths": [1, 2], "range": {"low": 1}, "extra": {"deep": 2}},
        "schedule": None,
    }
    assert given == document()
    assert edited.raw == given.raw
    assert edited.where(("task", "lengths", 0)) == "x.yaml:3:13 task.lengths[0]"
    assert edited.where(("task", "range", "low")) == "--set task.range={low: 1} task.range.low"
    assert edited.node(("task", "range", "high")) is None
    assert str(edited.position(("task", "extra"))) == "--set task.extra.deep=2"
    assert str(edited.position(("seed",))) == "--set seed=3"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "expected key=value, got no '=' — for example --set training.steps=500"),
        ("=5", f"'' is not a valid key — {JOINED}"),
        ("a..b=5", f"'a..b' is not a valid key — {JOINED}"),
        ("a b=5", f"'a b' is not a valid key — {JOINED}"),
        ("task.lengths.0=5", f"'task.lengths.0' is not a valid key — {JOINED}"),
        ("task.lengths[0]=5", f"'task.lengths[0]' is not a valid key — {JOINED}"),
        ("seed=", "no value given — write seed=null, or seed=\"''\" for empty text"),
        ("a.b=  ", "no value given — write a.b=null, or a.b=\"''\" for empty text"),
        ("seed=#5", "no value given — write seed=null, or seed=\"''\" for empty text"),
        ("seed=5 # x", "'# x' would be read as a comment"
                       " — quote the value twice, for the shell and for YAML: seed=\"'…'\""),
        ("seed.x=5", "seed is an integer (x.yaml:1:7), not a mapping — write `seed:` as a mapping, or set all of it"),
        ("task.lengths.x=5", "task.lengths is a list (x.yaml:3:12), not a mapping"
                             " — write `task.lengths:` as a mapping, or set all of it"),
        ("seed=.inf", "got .inf, expected a finite number — write '.inf' for text"),
        ("seed=*a", "alias *a is not supported"
                    " — repeat the value here; to share keys between files, use `extends: base.yaml`"),
        ("seed={a: 1, a: 2}", "duplicate key — remove one of them"),
        ("seed=[1", "invalid YAML: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence)"
                    " — close the bracket, and put a comma between the items"),
        ("extends=b.yaml", "`extends` cannot be set on the command line — write it in the config file"),
        ("extends.a=b.yaml", "`extends` cannot be set on the command line — write it in the config file"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_option(override, message):
    key = " seed.a" if "a: 2" in override else ""
    assert refusal(override) == [f"--set {override}{key}: {message}"]


def test_all_faults_come_at_once():
    assert [fault.split(": ")[0] for fault in refusal("x", "seed=5", "a.=1", "seed={b: .inf, c: .nan}")] == [
        "--set x",
        "--set a.=1",
        "--set seed={b",
        "--set seed={b",
    ]


def test_hidden_characters_and_bytes_that_are_no_text_are_escaped():
    assert refusal("seed=\x1b[31m", "seed=\udcff", "s\n=1") == [
        "--set seed=\\x1b[31m: U+001B (control character) is not allowed in a config — remove it",
        "--set seed=\\udcff: U+DCFF (not a character) is not allowed in a config — remove it",
        f"--set s\\n=1: 's\\n' is not a valid key — {JOINED}",
    ]


def test_a_long_option_is_cut_and_a_deep_one_refused():
    assert refusal("x" * 130_000) == [
        f"--set {'x' * 59}…: expected key=value, got no '=' — for example --set training.steps=500"
    ]
    assert f"… is not a valid key — {JOINED}" in refusal("a." * 64 + "a=1")[0].replace("…'", "…")


def test_a_thousand_options_take_no_time():
    start = time.perf_counter()
    edited = apply_overrides(document(), [f"task.k{i}={i}" for i in range(1000)])
    assert edited.data["task"]["k999"] == 999
    assert len(refusal(*[f"seed.k{i}=1" for i in range(1000)])) == 21
    assert time.perf_counter() - start < 2


def test_the_key_of_an_axis_has_dots_itself():
    edited = apply_overrides(document(), ["sweep.axes.cell.units=[4, 8]"])
    assert edited.data["sweep"] == {"axes": {"cell.units": [4, 8]}}
