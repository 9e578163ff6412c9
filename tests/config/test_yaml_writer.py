"""What is written reads back as the same data, by this reader and by one of YAML 1.1."""

import math
from collections import UserDict

import numpy as np
import pytest
import yaml

from rnnlab.config.marks import Mark
from rnnlab.config.yaml_reader import read_yaml
from rnnlab.config.yaml_writer import dump_yaml


def read(text: str) -> object:
    tree = read_yaml(text, Mark("x.yaml", 1, 1))
    assert tree.faults == []
    return tree.data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(None, "null"), (True, "true"), (False, "false"), (0, "0"), (-7, "-7"), (10**18 - 1, "9" * 18)],
        *[(0.001, "0.001"), (1e-5, "1.0e-05"), (1.5e300, "1.5e+300"), (1e22, "1.0e+22"), (5e-324, "5.0e-324")],
        *[(0.1 + 0.2, "0.30000000000000004"), (2.0, "2.0"), (-0.0, "-0.0")],
        *[(text, text) for text in ("adding@urnn", "plain words", "a-b_c.d/e+f", "none", "inf", "e5", "_1")],
        *[(text, f"'{text}'") for text in ("695e0514", "1e5", "12e03", "010", "1_000", "1:30", "0x1F", "2024-01-01")],
        *[(text, f"'{text}'") for text in ("on", "No", "y", "null", "~", "", "true", ".nan", "1", "-", "=", "<<")],
        *[(text, f"'{text}'") for text in ("a: b", "a #b", " a", "a ", "[/b]", "{7}", "!t", "%s", "@a", "é", "\\")],
        *[("it's", "'it''s'"), ("a\nb", '"a\\nb"'), ('\t"\\', '"\\t\\"\\\\"'), ("\u200b", '"\\U0000200b"')],
        *[([], "[]"), ({}, "{}"), ([[], {}], "\n  - []\n  - {}")],
        *[([1, [2, [3]]], "\n  - 1\n  - - 2\n    - - 3")],
        *[({"on": {"1": None}}, "\n  'on':\n    '1': null"), ([{"a": 1, "b": [2]}], "\n  - a: 1\n    b:\n      - 2")],
    ],
)  # fmt: skip
def test_a_value_has_one_text_and_reads_back(value, text):
    written = dump_yaml({"key": value})
    assert written == (f"key:{text}\n" if text.startswith("\n") else f"key: {text}\n")
    assert repr(read(written)) == repr({"key": value})


def test_a_tuple_is_a_list_and_a_numpy_float_a_float():
    assert dump_yaml({"a": (), "b": (1, (2,)), "c": np.float64(0.5)}) == "a: []\nb:\n  - 1\n  - - 2\nc: 0.5\n"


def test_keys_keep_their_order_and_an_empty_mapping_its_braces():
    assert dump_yaml({"z": 1, "a": 2, "m": 3}) == "z: 1\na: 2\nm: 3\n"
    assert dump_yaml({}) == "{}\n"


def test_a_list_given_twice_is_written_twice():
    shared = [1]
    assert dump_yaml({"a": shared, "b": shared}) == "a:\n  - 1\nb:\n  - 1\n"


def nested(levels: int, kind: type) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (math.nan, ValueError, "finite number wanted, got nan"),
        (-math.inf, ValueError, "finite number wanted, got -inf"),
        (10**18, ValueError, "not a config: text written:1:6 key: integer of 19 digits, 18 at most — write a smaller"
                             " number, or put it in quotes for text"),
        ("\x1b", ValueError, "not a config: text written:1:6 key: U+001B (control character) as character 1 of the text"
                             " is not allowed — delete it"),
        ("\ud800", ValueError, "not a config: text written:1:6 key: U+D800 (not a character) as character 1 of the text"
                               " is not allowed — delete it"),
        ("a" * 10_001, ValueError, "not a config: text written:1:6 key: value of 10,001 characters, 10,000 at most —"
                                   " check that this is the config you meant"),
        (nested(65, list), ValueError, "not a config: text written:2:131: more than 64 levels deep — check that"
                                       " this is the config you meant"),
        (nested(65, dict), ValueError, "not a config: text written:66:131: more than 64 levels deep — check that"
                                       " this is the config you meant"),
        ([0] * 10_000, ValueError, "not a config: text written:9999:5: more than 10,000 values and keys — check that"
                                   " this is the config you meant"),
        (b"a", TypeError, "bytes cannot be written as YAML"),
        ({1: 2}, TypeError, "int cannot be a key"),
        (np.int64(1), TypeError, "int64 cannot be written as YAML"),
        (UserDict, TypeError, "ABCMeta cannot be written as YAML"),
    ],
)  # fmt: skip
def test_what_could_not_be_read_back_is_not_written(value, error, message):
    with pytest.raises(error) as caught:
        dump_yaml({"key": value})
    assert str(caught.value) == message


ALPHABET = [*"aeon01.:#-_ '\"\\[]{},&*!|>%@`~?=<+\n\té", "\u200d", "😀", "null", "1e5", "0x", " #", ": ", "yes"]


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


@pytest.mark.parametrize("seed", range(100))
def test_random_data_read_back_the_same(seed):
    rng = np.random.default_rng(seed)
    data = {"".join(rng.choice(ALPHABET, size=3)): random_value(rng, 0) for _ in range(5)}
    written = dump_yaml(data)
    assert repr(read(written)) == repr(data)
    assert repr(yaml.safe_load(written)) == repr(data)
