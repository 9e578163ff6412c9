"""The fenced blocks of a page, run in order in one folder; what they show must be true.

- `console`: a line that starts with `$ ` is a command, what follows is what it prints; `…` alone on a line is any
  lines, within a line any text. The exit code must be 0, or that of the error shown, or the one in `exit=N` after
  `console`. A command that succeeds is compared by its stdout. `cd FOLDER` is valid for all commands after it.
- a block whose first line ends with a file name, as in `yaml my_sweep.yaml`, is written to that file.
- `yaml` without one must be a config; a block that does not begin with `task:` is completed with a task.
- `python` without one is run like a cell of a notebook; `output` after it is what it prints, and its last value.
- `sh` (how to install) and `text` are not run.

`<!-- needs: pandas -->` leaves out the rest of the page where that module is not installed.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import pytest

from rnnlab.config.load import check_document
from rnnlab.config.reading import read_document
from rnnlab.core.errors import RnnlabError
from rnnlab.sweeps.expand import check_sweep
from tests.docs.notebook import Notebook
from tests.once import Once

_FENCE = re.compile(
    r"^```(?P<kind>\w+)(?P<words>[^\n]*)\n(?P<text>.*?)^```$|^<!-- needs: (?P<needs>\w+) -->$", re.M | re.S
)
# What more than one page shows, and other tests train; in a folder where the page has run nothing that it depends on.
_SHARED = re.compile(r"rnnlab (?:train vanishing_\w+ --quiet|verify quickstart)")
_EXIT_CODES = {kind.code: kind.exit_code for kind in RnnlabError.__subclasses__()}


@final
@dataclass(frozen=True)
class Block:
    """A fenced block of a page, or, of the kind `needs`, the module that the rest of the page needs."""

    kind: str
    text: str
    line: int
    file: str = ""
    exit_code: int | None = None


def blocks(page: str) -> Iterator[Block]:
    """Return the blocks of a page, in order."""
    for match in _FENCE.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        if module := match["needs"]:
            yield Block("needs", module, line)
            continue
        words = match["words"].split()
        code = next((int(word.removeprefix("exit=")) for word in words if word.startswith("exit=")), None)
        yield Block(match["kind"], match["text"], line, next((word for word in words if "." in word), ""), code)


@dataclass
class Tour:
    """One page in one folder; `untrue` collects what is not as shown."""

    name: str
    folder: Path
    once: Once | None = None
    untrue: list[str] = field(default_factory=list)

    def run(self, page: str, *, provided: tuple[str, ...] = ()) -> None:
        """Run every block of a page; the modules, or programs, that are `provided` need not be looked for."""
        with ExitStack() as stack:
            self._notebook = stack.enter_context(Notebook(self.folder, environment()))
            for block in blocks(page):
                if block.kind == "needs" and block.text not in provided:
                    assert not self.untrue, "\n\n".join(self.untrue)
                    pytest.importorskip(block.text, reason=f"{self.name}:{block.line} needs {block.text}")
                elif block.file:
                    path = self.folder / block.file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(block.text, encoding="utf-8")
                elif run := getattr(self, f"_{block.kind}", None):
                    run(block)
        assert not self.untrue, "\n\n".join(self.untrue)

    def _console(self, block: Block) -> None:
        commands = steps(block.text)
        for number, (command, shown) in enumerate(commands, 1):
            if to := re.fullmatch(r"cd (\S+)", command):
                self.folder /= to[1]
                continue
            done = self._run(command)
            expected = block.exit_code if number == len(commands) else None
            printed = [done.stderr, done.stdout + done.stderr] if done.returncode else [done.stdout]
            true = any(re.fullmatch(as_pattern(shown), folded(text)) for text in printed)
            if not true or done.returncode != (exit_code(shown) if expected is None else expected):
                self._add(block, f"$ {command}\n{shown}--- exit code {done.returncode}\n{done.stdout}{done.stderr}")

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        if self.once and _SHARED.fullmatch(command):
            return self.once.run(command, environment=environment(), to=self.folder)
        return subprocess.run(
            command, shell=True, cwd=self.folder, env=environment(), capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip

    def _yaml(self, block: Block) -> None:
        path = self.folder / "shown.yaml"
        path.write_text(block.text if block.text.startswith("task:") else f"task: adding\n{block.text}")
        try:
            if re.search("^sweep:", block.text, re.M):
                check_sweep(path)
            else:
                check_document(read_document(path), default_name="shown")
        except RnnlabError as error:
            self._add(block, f"{block.text}--- no config\n{error}\n")
        path.unlink()

    def _python(self, block: Block) -> None:
        self._printed, error = self._notebook.run(block.text, name=f"{self.name}:{block.line}")
        if error:
            self._add(block, f"{block.text}--- {error}")

    def _output(self, block: Block) -> None:
        if not re.fullmatch(as_pattern(block.text), folded(self._printed)):
            self._add(block, f"{block.text}--- printed\n{self._printed}")

    def _add(self, block: Block, problem: str) -> None:
        self.untrue.append(f"{self.name}:{block.line}\n{problem}")


def environment() -> Mapping[str, str]:
    """Return the surroundings of a reader: an active environment, a terminal of 80 columns, the runs in `runs`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {name: value for name, value in os.environ.items() if name != "RNNLAB_RUNS"}
    return variables | {"PATH": path, "COLUMNS": "80"}


def steps(block: str) -> list[tuple[str, str]]:
    """Return a console block's commands, each with the output that is shown below it."""
    before, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert before == "", "a console block starts with a command"
    # A backslash continues a command on the next line.
    found = (re.match(r"((?:.*\\\n)*.*)\n", part) for part in parts)
    return [(match[1], part[match.end() :]) for match, part in zip(found, parts, strict=True) if match]


def exit_code(shown: str) -> int:
    """Return the exit code of what is shown."""
    if error := re.search(r"error\[(E_\w+)\]", shown):
        return _EXIT_CODES[error[1]]
    return 75 if "the state is saved" in shown else 0


def as_pattern(shown: str) -> str:
    """Return the pattern of what is shown: `…` alone on a line stands for any lines; within one, for any text."""
    return "".join(
        r"(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n"
        for line in folded(shown).splitlines()
    )


def folded(text: str) -> str:
    """Return the text with any number of blanks as one: columns are as wide as their numbers."""
    return "".join(f"{line.rstrip()}\n" for line in re.sub(" +", " ", text).splitlines())
