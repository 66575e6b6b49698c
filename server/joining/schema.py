"""The schema of an existing shard, as text that makes the same on an empty database.

`pg_dump` writes it, since nothing else knows all of PostgreSQL's objects. What is ours is left out
(`prepare_database` makes it), and so is what belongs to moves that are under way.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from server.embedded import BinariesUnsuitable, bundled
from server.joining.errors import SchemaNotCopied
from shardmap import Endpoint, Login

DUMP_TIMEOUT_S: Final = 120.0
_OPTIONS: Final = (
    "--schema-only",
    "--no-owner",
    "--no-publications",
    "--no-subscriptions",
    "--exclude-schema=fluxshard",
    "--exclude-schema=auth",
    "--no-password",
)
_META: Final = re.compile(r"^\\.*\n", re.MULTILINE)
"""Commands to psql (`\\restrict`), which are no SQL."""
_SCHEMA: Final = re.compile(r"^CREATE SCHEMA (?!IF NOT EXISTS)", re.MULTILINE)
_GUARDS: Final = re.compile(r"^CREATE TRIGGER fluxshard_[^;]*;\n", re.MULTILINE)
"""Of globally unique columns: `map apply` sets them anew."""


async def dumped_schema(endpoint: Endpoint, login: Login) -> str:
    """What makes the tables, types, functions and grants of a shard.

    Raises:
        SchemaNotCopied: There is no `pg_dump`, or it failed.
    """
    place = endpoint.straight
    environ = {**os.environ, "PGCONNECT_TIMEOUT": "5"}
    if login.password is not None:
        environ["PGPASSWORD"] = login.password
    if place.tls is not None:
        environ["PGSSLMODE"] = place.tls.value
    arguments = (
        *_OPTIONS,
        f"--host={place.host}",
        f"--port={place.port}",
        f"--username={login.user}",
        f"--dbname={place.database}",
    )
    text = await _run(_program(), arguments, environ)
    return replayable(text)


def replayable(text: str) -> str:
    """The dump without what only psql understands, or what is made otherwise. Pure."""
    return _GUARDS.sub("", _SCHEMA.sub("CREATE SCHEMA IF NOT EXISTS ", _META.sub("", text)))


def _program() -> Path:
    """The newest at hand: an older one refuses to dump from a newer server."""
    try:
        bundle = bundled() / "pg_dump"
    except BinariesUnsuitable:
        bundle = Path("/nowhere")
    found = str(bundle) if bundle.is_file() else shutil.which("pg_dump")
    if found is None:
        raise SchemaNotCopied(
            "pg_dump is not installed here: make the tables with `fluxshard migrate`, or by hand"
        )
    return Path(found)


async def _run(program: Path, arguments: Sequence[str], environ: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DUMP_TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError as error:
        raise SchemaNotCopied(f"pg_dump took longer than {DUMP_TIMEOUT_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise SchemaNotCopied(f"pg_dump: {errors.decode(errors='replace').strip()}")
    return output.decode()
