"""Values that stand in files of their own: `@path` or `file:path` in the place of a secret."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from server.configuration.sources import Given
from shardmap import Problem

NAMES: Final = ("FLUXBASE_AUTH_JWT_SECRET", "DATABASE_URL", "FLUXBASE_DATABASE_URL")
"""The settings for which PostgREST has this; others begin with @ only by chance."""
_MARKS: Final = ("@", "file:")


def from_files(values: Mapping[str, Given], problems: list[Problem]) -> Mapping[str, Given]:
    """The values, with what the files hold, without the newline at its end."""
    found = dict(values)
    for name in NAMES:
        given = values.get(name)
        mark = None if given is None else next(filter(given.text.startswith, _MARKS), None)
        if given is None or mark is None:
            continue
        path = Path(given.text.removeprefix(mark).strip())
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            problems.append(Problem(name, f"{path}: {error.strerror or 'cannot be read'}"))
        except UnicodeDecodeError:
            problems.append(Problem(name, f"{path} is not UTF-8"))
        else:
            found[name] = replace(given, text=text.rstrip("\r\n"))
    return found
