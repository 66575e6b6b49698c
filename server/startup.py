"""What a server should find on its machine; what it does not find it says, once, at start."""

import importlib.util
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_COMPILED: Final = "sqlglot.tokenizer_core"
"""A module of sqlglot that exists as Python source only where the compiled build does not."""


def shortcomings() -> Iterator[str]:
    """What makes this server slower than it could be, in sentences."""
    if not _is_compiled(_COMPILED):
        yield (
            "sqlglot runs as Python: install the same version of sqlglotc, "
            "which analyses statements about five times faster"
        )
    elif version_of("sqlglot") != version_of("sqlglotc"):
        yield (
            f"sqlglotc {version_of('sqlglotc')} is not the version of sqlglot, {version_of('sqlglot')}"
        )
    if importlib.util.find_spec("uvloop") is None:
        yield "uvloop is not installed: asyncio's own event loop takes about half as much time again"


def runtime() -> dict[str, str]:
    """Versions of what the server runs on, for its first log line."""
    return {
        "version": version_of("fluxshard"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "sqlglot": version_of("sqlglot"),
        "asyncpg": version_of("asyncpg"),
        "aiohttp": version_of("aiohttp"),
    }


def _is_compiled(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None and Path(spec.origin).suffix == ".so"


def version_of(distribution: str) -> str:
    """The installed version of a package, or `none`."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"
