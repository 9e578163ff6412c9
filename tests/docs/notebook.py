"""A Python process that runs pieces of code one after another in one namespace, as a notebook does."""

import ast
import contextlib
import io
import json
import linecache
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, final


@final
class Notebook:
    """Starts its process with the first piece of code; to be used in a `with` statement."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()

    def run(self, code: str, *, name: str) -> tuple[str, str]:
        """Run a piece of code; return what it printed, with its last value, and the error that ended it."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__], cwd=self._folder, env=dict(self._environment), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([name, code]), file=self._process.stdin, flush=True)
        printed, error = json.loads(self._process.stdout.readline())
        return printed, error


def main() -> None:
    """Read pieces of code from stdin, one a line, and answer each with a line."""
    answers, namespace = sys.stdout, {"__name__": "__main__"}
    sys.path[0] = ""  # as in a notebook, modules are looked for in the current folder
    for line in sys.stdin:
        name, code = json.loads(line)
        printed, error = io.StringIO(), ""
        with contextlib.redirect_stdout(printed):
            try:
                _run(code, name, namespace)
            except BaseException:
                error = traceback.format_exc()
        print(json.dumps([printed.getvalue(), error]), file=answers, flush=True)


def _run(code: str, name: str, namespace: dict[str, Any]) -> None:
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        if value is not None:
            sys.stdout.write(f"{value!r}\n")


if __name__ == "__main__":
    main()
