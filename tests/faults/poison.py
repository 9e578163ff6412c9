"""A run whose stored documents are edited by somebody who can compute checksums: each field, each wrong value.

The seals are computed here by hand, from what the formats say, so that no code of the writers decides what is tested.
"""

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, final

import yaml

from rnnlab.config.load import check_document
from rnnlab.config.reading import document_of
from rnnlab.core.errors import RnnlabError
from rnnlab.storage.weights import load_arrays, save_arrays
from tests.faults.wrong_values import edited

Record = dict[str, Any]

_SWAPPED = "@raw:"
# What JSON text cannot say through `json.dumps`: written in place of a text that begins with the mark.
DEEP = {"a thousand deep": "[" * 1000 + "1" + "]" * 1000}
OF_YAML = {
    "a date": "2001-01-01",
    "a date of year 1": "0001-01-01T00:00:00+23:59",
    "not a number": ".nan",
    "infinity": "-.inf",
    "hexadecimal": "0x7fffffffffffffffffffffff",
    "base 60": "1:30:00",
    "bytes": "!!binary aGk=",
    "a set": "!!set {a, b}",
    "keys that are no text": "{1: 2, null: 3, 2001-01-01: 4, 1.5: 5, true: 6}",
    "a list as key": "{[1]: 2}",
    "itself": "&x [*x]",
    "an alias": "[&y [1, 1], *y, *y]",
    "a call": "!!python/object/apply:os.getpid []",
}


def _text(document: Mapping[str, Any], **settings: Any) -> str:
    text = json.dumps(document, **settings)
    for name, raw in (DEEP | OF_YAML).items():
        text = text.replace(f'"{_SWAPPED}{name}"', raw)
    return text


def _read_json(path: Path) -> Record:
    document: Record = json.loads(path.read_bytes())
    del document["sha256"]
    return document


def _write_json(path: Path, document: Record) -> None:
    text = (_text(document, indent=2) + "\n").encode()
    path.write_bytes(text[:-3] + b',\n  "sha256": "%s"\n}\n' % sha256(text).hexdigest().encode())


def _read_line(path: Path, number: int) -> Record:
    record: Record = json.loads(path.read_bytes().splitlines()[number])
    del record["crc"]
    return record


def _write_line(path: Path, number: int, record: Record) -> None:
    lines = path.read_bytes().splitlines()
    text = _text(record, separators=(",", ":")).encode()
    lines[number] = text[:-1] + b',"crc":"%08x"}' % zlib.crc32(text)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _read_resolved(path: Path) -> Record:
    document: Record = yaml.safe_load(path.read_bytes())
    return document


def _write_resolved(path: Path, document: Record) -> None:
    """Write the config as JSON, which is YAML, and its hash into the provenance, where it is one of a network."""
    id, text = path.read_text().splitlines()[-1].split()[2][:-1], _text(document) + "\n"
    seal = f"# run {id}, SHA-256 of the lines above: {sha256(text.encode()).hexdigest()}\n"
    path.write_text(text + seal, encoding="ascii")
    provenance = path.with_name("provenance.json")
    if len(text) > 1 << 20:  # more than a config can have
        return
    try:
        experiment = check_document(document_of(path.read_text(), "x"), default_name="x")
    except (RnnlabError, RecursionError):
        return
    _write_json(provenance, _read_json(provenance) | {"config_sha256": experiment.sha256()})


def _write_description(path: Path, description: Record) -> None:
    save_arrays(path, load_arrays(path)[0], json.loads(_text(description)))


def _json(path: Path) -> "_Document":
    return _Document(path, _read_json, _write_json)


@final
@dataclass(frozen=True)
class _Document:
    """How the documents of one kind are read and written back with a right checksum."""

    path: Path
    read: Callable[[Path], Record]
    write: Callable[[Path, Record], None]


def documents(run: Path) -> dict[str, _Document]:
    """Return the documents of a run that are edited, by name."""
    found = {name: _json(run / f"{name}.json") for name in ("status", "summary", "provenance")}
    found["lock"] = _json(next(iter(run.glob("lock-*.json")), run / "lock-0002.json"))
    for file, lines in (("metrics", (0, 1, -1)), ("evaluations", (0,))):
        for line in lines:
            found[f"{file}:{line}"] = _Document(
                run / f"{file}.jsonl",
                lambda path, line=line: _read_line(path, line),  # type: ignore[misc]
                lambda path, record, line=line: _write_line(path, line, record),  # type: ignore[misc]
            )
    found["resolved"] = _Document(run / "resolved.yaml", _read_resolved, _write_resolved)
    arrays = {which: run / f"weights/{which}.safetensors" for which in ("best", "last")}
    arrays["checkpoint"] = sorted(run.glob("checkpoints/step-*.safetensors"))[-1]
    for name, path in arrays.items():
        found[name] = _Document(path, lambda path: load_arrays(path)[1], _write_description)
    return found


@final
@dataclass(frozen=True)
class Poison:
    """One edit of one document of a run.

    Attributes:
        document: The document's name.
        edit: The field and the value.
        content: The document with the edit.
    """

    document: str
    edit: str
    content: Record = field(repr=False)

    def put_into(self, run: Path) -> None:
        """Write the edited document in the place of the good one."""
        one = documents(run)[self.document]
        one.write(one.path, self.content)


def poisons(run: Path) -> Iterator[Poison]:
    """Yield every edit of every document of a run."""
    for name, one in documents(run).items():
        if not one.path.exists():  # the lock of a run that has ended, the summary of one that has not
            continue
        good = one.read(one.path)
        for edit, content in edited(good):
            if edit != "logging.tensorboard=true":  # a right value, which takes long: it imports TensorFlow
                yield Poison(name, edit, content)
        if name not in {"best", "last", "checkpoint"}:
            for raw in (*DEEP, *(OF_YAML if name == "resolved" else ())):
                yield from (Poison(name, *one) for one in edited(good, {raw: _SWAPPED + raw}) if one[0].endswith(raw))


def copied(template: Path, run: Path, poison: Poison | None = None) -> None:
    """Put a fresh copy of a run in the place of `run`, poisoned or not."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(template, run)
    if poison:
        poison.put_into(run)
