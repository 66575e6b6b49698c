"""How to log in to an endpoint: `env:NAME` and `file:/path` to user and password.

Nothing is kept: each call reads its source again, so a rotated password needs no restart.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shardmap.address import is_url, parse_url
from shardmap.endpoint import Endpoint
from shardmap.errors import CredentialsUnavailable, InvalidUrl

MAX_SECRET_BYTES: Final = 64 * 1024
"""More than any password or url; a reference to something else fails instead of filling memory."""

_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Login:
    """Who to log in as. Without a password the driver's own sources apply (`~/.pgpass` …)."""

    user: str
    password: str | None = field(default=None, repr=False)


def is_reference(text: str) -> bool:
    """Whether the text is `env:NAME` or `file:/absolute/path`."""
    return _REFERENCE.fullmatch(text) is not None and "\0" not in text


def resolve(endpoint: Endpoint, environ: Mapping[str, str]) -> Login:
    """The endpoint's login as its source says now.

    The source holds a password, or a whole url whose user and password count. A file may end in
    one line break. Reads a file at most: short, but not for the middle of a request.

    Raises:
        CredentialsUnavailable: The variable or file is absent, empty or unusable. The message
            names the reference, never its content.
    """
    reference = endpoint.credentials
    if reference is None:
        return Login(endpoint.user)
    source, _, place = reference.partition(":")
    match source:
        case "env":
            content = environ.get(place)
            if content is None:
                raise CredentialsUnavailable(f"{reference}: the variable is not set")
        case "file":
            content = _file(reference, Path(place))
        case _:
            raise CredentialsUnavailable("credentials are env:NAME or file:/path")
    if not content:
        raise CredentialsUnavailable(f"{reference}: the content is empty")
    if not is_url(content):
        return Login(endpoint.user, content)
    try:
        address, password = parse_url(content)
    except InvalidUrl as error:
        raise CredentialsUnavailable(f"{reference}: {error}") from error
    return Login(address.user or endpoint.user, password)


def _file(reference: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise CredentialsUnavailable(f"{reference}: {error.strerror}") from error
    if len(content) > MAX_SECRET_BYTES:
        raise CredentialsUnavailable(f"{reference}: more than {MAX_SECRET_BYTES} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CredentialsUnavailable(f"{reference}: the content is not UTF-8") from error
    return text.removesuffix("\n").removesuffix("\r")
