"""The configs that rnnlab ships, each known by its name: `rnnlab train quickstart`, `extends: quickstart`."""

from filecmp import cmp
from functools import cache
from pathlib import Path

from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import home_expanded

_PACKAGE = Path(__file__).parents[1]


@cache
def shipped_configs() -> dict[str, Path]:
    """Return the file of each shipped config by name, sorted.

    Example:
        >>> shipped_configs()["quickstart"].name
        'quickstart.yaml'
    """
    inside = _PACKAGE / "configs"  # in a wheel; a checkout has them beside the package
    folder = inside if inside.is_dir() else _PACKAGE.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def config_path(text: str | Path, folder: Path = Path()) -> Path:
    """Return the path of a config as it was given: `./quickstart` is a file here, `quickstart` may be a shipped config.

    Raises:
        UsageError: The text is empty, or cannot be a path.

    Example:
        >>> str(config_path("quickstart")), config_path("./quickstart") == Path("quickstart").absolute()
        ('quickstart', True)
    """
    if str(text) == "":
        problem = "got an empty name, expected the path of a YAML file or a name that `rnnlab configs` lists"
        raise UsageError(problem)
    path = home_expanded(text)
    return (folder / path).absolute() if str(path) in shipped_configs() and str(path) != str(text) else path


def located(name: Path, folder: Path = Path()) -> Path:
    """Return the file that `name` means in `folder`: a shipped config if it is the bare name of one and no file here.

    Raises:
        UsageError: There is another `quickstart.yaml` here, which may be meant.

    Example:
        >>> located(Path("quickstart")) == shipped_configs()["quickstart"], str(located(Path("x.yaml"), Path("a")))
        (True, 'a/x.yaml')
    """
    path = folder / name
    shipped = shipped_configs().get(str(name))
    try:
        if shipped is None or path.is_symlink() or (path.exists() and not path.is_dir()):
            return path
        own = path.with_name(shipped.name)
        is_ambiguous = own.exists() and not cmp(own, shipped, shallow=False)
    except OSError:  # the reader reports it
        return path
    if is_ambiguous:
        hint = f"write {own}; to use the shipped one, rename that file"
        raise UsageError(f"is a shipped config, and {own} is a file here", hint=hint)
    return shipped
