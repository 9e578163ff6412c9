"""Values of the program as values of JSON: the one conversion, for what is printed and for what is stored."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias

# The values that `json.dumps` writes as they are.
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


def jsonable(value: object) -> Json:
    """Return `value` made of dictionaries, lists, text, finite numbers, booleans and None.

    Dataclasses and pydantic models become dictionaries of their public fields; tuples, sets and NumPy arrays lists;
    NumPy scalars numbers; complex numbers pairs of real and imaginary part; paths, enumerations and dates text. A
    number that is not finite becomes None: JSON has none.

    Raises:
        TypeError: The value, or one inside it, is none of these.

    Example:
        >>> jsonable({"loss": float("nan"), "shape": (2, 3), "path": PurePath("runs/a")})
        {'loss': None, 'shape': [2, 3], 'path': 'runs/a'}
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | str | int | float):
        return _scalar(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        return [jsonable(inner) for inner in value]
    return _converted(value)


def _scalar(value: str | float | None) -> Json:
    """Return a value of a subclass, such as `numpy.float64`, as the plain type."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return value
    return str(value) if isinstance(value, str) else int(value)


def _converted(value: object) -> Json:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, complex):
        return [jsonable(value.real), jsonable(value.imag)]
    if is_dataclass(value) and not isinstance(value, type):
        public = [field.name for field in fields(value) if field.name[0] != "_"]
        return {name: jsonable(getattr(value, name)) for name in public}
    for method in ("tolist", "model_dump"):  # of NumPy and of pydantic, which are not imported for this
        convert: Callable[[], Any] | None = getattr(value, method, None)
        if convert is not None:
            return jsonable(convert())
    raise TypeError(f"{type(value).__name__} has no form in JSON")
