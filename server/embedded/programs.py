"""Running PostgreSQL's own programs as the servers' account, and servers that outlive us."""

import asyncio
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.embedded.account import Account
from server.embedded.binaries import Binaries
from server.embedded.errors import ProgramFailed, ServerSlow

ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
"""All that a program sees: a user's own PGPORT or PGOPTIONS must not reach it."""

PROGRAM_LIMIT_S: Final = 600.0
"""For the longest of them, a base backup of a large shard."""

END_LIMIT_S: Final = 2.0
"""For a program to end by itself when it is no longer wanted."""

MAX_LOG_BYTES: Final = 16 * 1024 * 1024
"""A log longer than this is set aside when its server starts."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs, and the account that they run as."""

    binaries: Binaries
    account: Account
    passfile: Path

    async def run(self, server: str, program: str, *arguments: str) -> str:
        """What the program printed. Cancelling ends it, with all its children.

        Raises:
            ProgramFailed: It ended with an error.
            ServerSlow: It did not end in time.
        """
        with tempfile.TemporaryFile() as printed:  # not a pipe: nobody has to read it to its end
            process = subprocess.Popen(  # noqa: ASYNC220 - starting takes a moment, waiting is in a thread
                [str(self.binaries.bindir / program), *arguments],
                cwd="/",
                env={**ENVIRONMENT, "PGPASSFILE": str(self.passfile)},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,
                **self.account.process_options,
            )
            try:
                async with asyncio.timeout(PROGRAM_LIMIT_S):
                    await asyncio.to_thread(process.wait)
            except TimeoutError as error:
                raise ServerSlow(server, f"done with {program}", PROGRAM_LIMIT_S) from error
            finally:
                if process.poll() is None:
                    _end(process)
            printed.seek(0)
            output = printed.read().decode(errors="replace")
        if process.returncode != 0:
            raise ProgramFailed(program, server, output)
        return output

    def serve(self, data: Path, log: Path) -> tuple["subprocess.Popen[bytes]", int]:
        """Start a server in a session of its own: it goes on when we and our terminal end.

        The process, and how long its log was before.
        """
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            logged = output.tell()
            process = subprocess.Popen(
                [str(self.binaries.bindir / "postgres"), "-D", str(data)],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,
                **self.account.process_options,
            )
            return process, logged


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program and its children.

    It is asked alone at first: initdb then lets its child end, which otherwise would leave shared
    memory behind.
    """
    process.terminate()
    try:
        process.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
