"""All procedures of a directory, read once at start."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from server.rpc.errors import ProceduresInvalid
from server.rpc.procedure import Procedure, ProcedureMalformed, read_procedure
from server.rpc_settings import RpcSettings
from shardmap import Problem

DEFAULT: Final = "default"
"""The namespace of files that are in no directory of their own."""

Library = Mapping[tuple[str, str], Procedure]
"""Procedures by namespace and name, in this order."""


def load_procedures(settings: RpcSettings) -> Library:
    """The procedures that the settings lead to; a directory that does not exist holds none.

    Raises:
        ProceduresInvalid: Files are no procedures, or two have one name.
    """
    directory = Path(settings.directory)
    if not (settings.enabled and settings.load and directory.is_dir()):
        return {}
    found: dict[tuple[str, str], Procedure] = {}
    problems: list[Problem] = []
    for namespace, path in _files(directory):
        try:
            made = _read(namespace, path, settings.longest_timeout_s)
        except (ProcedureMalformed, OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(path), str(error)))
            continue
        key = (made.namespace, made.name)
        if key in found:
            problems.append(Problem(str(path), f"{'.'.join(key)} is there twice"))
        found[key] = made
    if problems:
        raise ProceduresInvalid(problems)
    return dict(sorted(found.items()))


def _read(namespace: str, path: Path, longest_s: float) -> Procedure:
    made = read_procedure(namespace, path.stem, path.read_text("utf-8"))
    if made.timeout_s is not None and made.timeout_s > longest_s:
        raise ProcedureMalformed(
            "@fluxbase:max-execution-time is over FLUXBASE_RPC_MAX_MAX_EXECUTION_TIME"
        )
    return made


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.glob("*.sql")):
        yield DEFAULT, path
    for path in sorted(directory.glob("*/*.sql")):
        yield path.parent.name, path
