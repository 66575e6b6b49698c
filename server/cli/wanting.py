"""Commands that say what they want of the map: shown by default, carried out with `--apply`."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

from server.author import author
from server.cli.carrying import carry_out, shown
from server.cli.mapaccess import (
    PROBLEMS,
    Catalog,
    Failed,
    catalog_options,
    json_option,
    run,
)
from server.mapchange.applying import Why
from server.moves import Limits
from shardmap import ShardMap

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a command is to be carried out, if at all."""

    catalog: Catalog
    apply: bool
    reason: str | None
    actor: str | None
    yes: bool
    as_json: bool
    limits: Limits

    @property
    def why(self) -> Why:
        """Who, and why."""
        if not self.reason:
            raise click.UsageError("--apply needs --reason")
        return Why(self.actor or author(), "cli", self.reason)

    def old(self) -> ShardMap:
        """The map in force; ends the command where there is none."""
        found = run(self.catalog.stored())
        if found is None:
            raise Failed(["no map has been applied"], PROBLEMS)
        return found

    def run(self, work: Coroutine[object, object, T]) -> T:
        """The result; errors end the command."""
        return run(work)

    def carry_out(self, old: ShardMap, asked: ShardMap) -> None:
        """Show the change as text or data, and with `--apply` make it."""
        if self.apply:
            carry_out(self.catalog, old, asked, self.why, yes=self.yes, limits=self.limits)
            return
        proposal, estimate = run(shown(self.catalog, old, asked))
        if self.as_json:
            document = {
                **proposal.document(),
                "estimate": estimate.document() if estimate else None,
            }
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            click.echo(proposal.text() + (estimate.text() if estimate else ""), nl=False)
            if proposal.changed and not proposal.refused:
                click.echo("Nothing was changed: --apply --reason TEXT carries it out.", err=True)
        if proposal.refused:
            raise Failed([], PROBLEMS)


def wanting(command: Callable[..., None]) -> Callable[..., None]:
    """`--apply`, `--reason` and the like, given to the command as one `wanted`."""

    @wraps(command)
    def with_wanted(  # noqa: PLR0913 - one parameter per option
        *,
        catalog: Catalog,
        apply: bool,
        reason: str | None,
        actor: str | None,
        yes: bool,
        as_json: bool,
        max_pause_s: float,
        at_once: int,
        **others: Any,
    ) -> None:
        limits = Limits(at_once=at_once, per_shard=at_once, max_pause_s=max_pause_s)
        command(wanted=Wanted(catalog, apply, reason, actor, yes, as_json, limits), **others)

    options = (
        click.option("--apply/--dry-run", "apply", default=False, help="Carry it out, or show it only (the default)."),
        click.option("--reason", help="Why, for the history; needed with --apply."),
        click.option("--author", "actor", help="Who.  [default: user@host]"),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--max-pause", "max_pause_s", type=click.FloatRange(0.02, 60), default=0.5, show_default=True, metavar="S", help="How long writers may wait in one attempt at a cutover."),
        click.option("--at-once", type=click.IntRange(1, 16), default=2, show_default=True, help="Moves at the same time."),
        json_option,
    )  # fmt: skip
    decorated: Callable[..., None] = catalog_options(with_wanted)
    for option in reversed(options):
        decorated = option(decorated)
    return decorated
