"""The name a run's folder gets: `20261122T102531Z-quickstart-k3x9a1`."""

import re
import secrets
import string
from datetime import UTC, datetime

FOLDER_NAME = re.compile(r"(?P<stamp>\d{8}T\d{6}Z)-(?P<name>.+)-(?P<token>[a-z0-9]{6})")

_TOKEN_LETTERS = string.ascii_lowercase + string.digits


def folder_name(name: str, now: datetime | None = None) -> str:
    """Return a new name for the folder of the run `name`; the time orders, the six random characters tell apart."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{name}-{random_token()}"


def label_of(folder: str) -> str:
    """Return the name the user gave: the middle of the folder's name, or all of it where the folder was renamed."""
    match = FOLDER_NAME.fullmatch(folder)
    return match["name"] if match else folder


def token_of(folder: str) -> str:
    """Return the random characters at the end of the folder's name, or all of it where the folder was renamed."""
    match = FOLDER_NAME.fullmatch(folder)
    return match["token"] if match else folder


def random_token() -> str:
    """Return six random characters a-z 0-9: one of 2,176,782,336."""
    return "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(6))
