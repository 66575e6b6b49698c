"""The command `fluxshard`: a group whose sub-commands live in modules of their own."""

import importlib
import importlib.util
from typing import Final

import click

COMMANDS: Final = (
    "serve",
    "config",
    "token",
    "map",
    "audit",
    "tenants",
    "adopt",
    "shard",
    "rebalance",
    "drain",
    "split",
    "migrate",
    "explain",
    "sql",
    "cluster",
    "failover",
    "move",
    "moves",
    "pin",
    "unpin",
    "doctor",
    "demo",
    "bench",
)
"""Each is a module of this package that calls its click command `command`. It is imported when it
is asked for, so that `fluxshard cluster` does not pay for the server, nor fail with it."""

ELSEWHERE: Final = {"bench": "bench.cli"}
"""Commands whose module is above this layer. They are known by name only: nothing here imports them,
and where they are not installed there is no such command."""


class _Commands(click.Group):
    """Finds sub-commands by the names of modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Those whose module is installed."""
        return [name for name in COMMANDS if _module(name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command in the module of that name."""
        module = _module(cmd_name) if cmd_name in COMMANDS else None
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command


def _module(name: str) -> str | None:
    module = ELSEWHERE.get(name, f"{__name__}.{name}")
    try:
        return module if importlib.util.find_spec(module) is not None else None
    except ModuleNotFoundError:  # not even its package
        return None


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fluxshard", message="%(prog)s %(version)s")
def main() -> None:
    """A sharded data-routing proxy for PostgreSQL."""
