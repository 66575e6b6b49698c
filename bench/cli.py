"""`fluxshard bench`: the benchmark harness from the command line.

`fluxshard` finds this group by its name (`server.cli`), so that no module of the server imports
the harness.
"""

import importlib
from typing import Final

import click

from bench.errors import ExtraMissing
from bench.extra import require_extra

COMMANDS: Final = (
    "run",
    "replicas",
    "peers",
    "tpcc",
    "drill",
    "sessions",
    "neighbours",
    "full",
    "compare",
    "list",
)
"""Each is a module of `bench.commands` that calls its click command `command`."""


class _Commands(click.Group):
    """Finds commands by the names of modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All, in the order of the list."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command in the module of that name, or what to say without the extra's packages."""
        if cmd_name not in COMMANDS:
            return None
        try:
            require_extra()
        except ExtraMissing as error:
            return _refusing(cmd_name, error)
        command: click.Command = importlib.import_module(f"bench.commands.{cmd_name}").command
        return command


def _refusing(name: str, error: ExtraMissing) -> click.Command:
    @click.command(
        name,
        help=f"{error.message}: {error.hint}",
        context_settings={"ignore_unknown_options": True},
    )
    @click.argument("words", nargs=-1)
    def command(words: tuple[str, ...]) -> None:  # noqa: ARG001 - whatever was asked for
        raise click.ClickException(f"{error.code}: {error.message}\n{error.hint}")

    return command


@click.group(cls=_Commands)
def command() -> None:
    """Measure Fluxshard: load on a cluster that is made for it and removed afterwards.

    Nothing needs to run, and nothing of yours is touched. Every figure is printed with what it was
    made under: machine, limits of the servers, seeds, who spent how much CPU.

    \b
      fluxshard bench list                        the workloads
      fluxshard bench run point-read              one workload, closed loop
      fluxshard bench run mixed --open 500        arrivals at a constant rate, no omission
      fluxshard bench replicas --out DIR          reads against replicas, servers limited alike
      fluxshard bench peers                       the same read by PgBouncer, HAProxy, Pgpool-II
      fluxshard bench tpcc                        TPC-C, each warehouse a tenant
      fluxshard bench drill all --times 10        servers and networks fail; nothing is lost
      fluxshard bench sessions                    no read older than what its session saw
      fluxshard bench neighbours                  one tenant floods, one shard freezes
      fluxshard bench compare A.json B.json       two results, with intervals
      fluxshard bench full --out DIR              all of it
    """  # noqa: D301 - a backspace, which click reads
