"""`fluxshard bench full`: everything that the harness can show, one command after the other.

Each part is the command of that name in a process of its own, so that none disturbs the next; what
it prints and writes is in a directory of its own, and a page leads to all.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import click

from bench.workloads import WORKLOADS

RUN: Final = "--shards 2 --replicas 1 --clients 16 --seconds 2 --warm 0.5 --rows 1000"

PARTS: Final[dict[str, str]] = {
    "replicas": "replicas --replicas 0,1,2,4 --seconds 3 --rounds 1 --near 0.06",
    "peers": "peers --rounds 3 --seconds 2",
    "workloads": f"run {' '.join(WORKLOADS)} {RUN}",
    "tpcc": "tpcc --seconds 5",
    "sessions": "sessions --reads 12000 --rounds 1",
    "drills": "drill all",
    "neighbours": "neighbours --seconds 4",
}
"""Parts by name, with the command of each."""


@dataclass(frozen=True, slots=True)
class Done:
    """A part that was run."""

    name: str
    command: str
    seconds: float
    status: int

    def __str__(self) -> str:
        verdict = "ok" if self.status == 0 else f"ended with {self.status}"
        return (
            f"{self.name:12s} {self.seconds:6.0f} s  {verdict:14s}  fluxshard bench {self.command}"
        )


@click.command()
@click.argument("names", metavar="[PART]...", nargs=-1, type=click.Choice(list(PARTS)))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="A directory for everything.",
)
@click.option("--seed", default=1, show_default=True, help="Seeds all that is by chance.")
def command(*, names: tuple[str, ...], out: Path, seed: int) -> None:
    """Run every PART: replicas, peers, all workloads, TPC-C, sessions, drills, neighbours.

    It takes some ten minutes. Ends with 1 when a part did; the others are run all the same.
    """
    out.mkdir(parents=True, exist_ok=True)
    done = []
    for name in names or PARTS:
        click.echo(f"{name} ...", err=True)
        done.append(_run(name, out / name, seed))
        click.echo(str(done[-1]))
    (out / "index.html").write_text(_page(done), "utf-8")
    total_s = sum(one.seconds for one in done)
    click.echo(f"{len(done)} parts in {total_s / 60:.1f} minutes; begin at {out / 'index.html'}")
    if any(one.status for one in done):
        raise SystemExit(1)


def _run(name: str, directory: Path, seed: int) -> Done:
    words = shlex.split(PARTS[name])
    directory.mkdir(exist_ok=True)
    began = time.monotonic()
    with (directory / "printed.txt").open("wb") as printed:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "server", "bench"),
                *words,
                *("--seed", str(seed), "--out", str(directory)),
            ],
            stdout=printed,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    return Done(name, PARTS[name], time.monotonic() - began, ended.returncode)


def _page(done: Sequence[Done]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{one.seconds:.0f} s</td>"
        f"<td>{'ok' if one.status == 0 else f'ended with {one.status}'}</td>"
        f'<td><a href="{escape(one.name)}/index.html">page</a></td>'
        f'<td><a href="{escape(one.name)}/printed.txt">what it printed</a></td>'
        f"<td><code>fluxshard bench {escape(one.command)}</code></td></tr>"
        for one in done
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Fluxshard, measured'
        "</title><style>body{font:15px system-ui;margin:2rem}td{padding:.2rem .8rem}</style></head>"
        f"<body><h1>Fluxshard, measured</h1><table>{rows}</table></body></html>\n"
    )
