"""python -m tests.oracle.differential --statements 20000 --seed S [--shards 1,2,4] [--jobs 2]

Runs generated statements on routers over several numbers of shards and on one PostgreSQL that holds
the same rows. Prints what was refused and why; writes differences to a file. Exit 1: there are some.
"""

import argparse
import asyncio
import multiprocessing
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from server.embedded import ClusterSpec, EmbeddedCluster, Sockets

from .report import Report
from .run import Task, run_part

SERVER = "shard_0-a"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.differential")
    parser.add_argument("--statements", type=int, default=20000)
    parser.add_argument("--seed", default=secrets.token_hex(3))
    parser.add_argument("--shards", default="1,2,4")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, help="the number of one statement, shown in full")
    parser.add_argument("--modes", default="", help="tenant, keyed, across: only these")
    parser.add_argument("--examples", type=Path, help="where statements by refusal are written")
    parser.add_argument("--differences", type=Path, default=Path("oracle-differences.sql"))
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="fluxshard-oracle-", dir=_fast()))
    directory.chmod(0o711)
    cluster = EmbeddedCluster(
        ClusterSpec(directory=directory / "c", shards=1, replicas=0, listen=Sockets())
    )
    try:
        asyncio.run(cluster.up())
        began = time.monotonic()
        report = _run(options, cluster.url(SERVER, "DATABASE"))
        seconds = time.monotonic() - began
    finally:
        asyncio.run(cluster.destroy())
        shutil.rmtree(directory, ignore_errors=True)
    print(report.text())
    done = 1 if options.only is not None else options.statements
    print(
        f"{done} statements on {options.shards} shards in {seconds:.0f} s: {done / seconds:.0f}/s"
    )
    if options.examples is not None:
        options.examples.write_text(report.examples())
    if not report.differences:
        return 0
    options.differences.write_text("\n".join(report.differences))
    print(f"written to {options.differences}")
    return 1


def _fast() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _run(options: argparse.Namespace, url: str) -> Report:
    counts = tuple(int(count) for count in options.shards.split(","))
    modes = tuple(options.modes.split(",")) if options.modes else ()
    if options.only is not None:
        numbers = [range(options.only, options.only + 1)]
    else:
        jobs = max(1, options.jobs)
        numbers = [range(job, options.statements, jobs) for job in range(jobs)]
    tasks = [
        Task(options.seed, each, counts, url, f"part{job}", modes)
        for job, each in enumerate(numbers)
    ]
    if len(tasks) == 1:
        return run_part(tasks[0])
    report = Report(options.seed)
    with multiprocessing.get_context("spawn").Pool(len(tasks)) as pool:
        for part in pool.map(run_part, tasks):
            report.merge(part)
    return report


if __name__ == "__main__":
    sys.exit(main())
