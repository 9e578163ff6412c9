"""A run that a command is let loose on, and what is left of it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

Harm = Callable[[Path], object]


BEST = "weights/best.safetensors"


EXPORT = ("export", "job", "--format", "npz", "--out", "out.npz")


RESUME = ("train", "--resume", "job", "--set", "training.steps=30")


INTO = ("train", "x.yaml", "--into", "job")


EVALUATE = ("evaluate", "job")


def everything(folder: Path) -> dict[str, str]:
    """Each file and folder under `folder` by its path, with a hash of what it holds; links are named, not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        plain = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(folder))] = (
            hashlib.sha256(path.read_bytes()).hexdigest() if plain else str(path.is_symlink() and path.readlink())
        )
    return found
