"""How every command changes the map: shown first, asked for, then applied."""

from collections.abc import Sequence

import click

from server.cli.mapaccess import PROBLEMS, Catalog, Failed, run
from server.cli.movetext import Screen
from server.cli.moving import named
from server.mapchange import moving
from server.mapchange.applying import Looked, Why, apply_change, look_at, note
from server.mapchange.costing import cost
from server.mapchange.estimate import Estimate
from server.mapchange.moving import hindrances
from server.mapchange.proposal import Proposal, propose_change
from server.mapcheck import settle_uniques
from server.moves import Limits
from shardmap import (
    AuditEntry,
    Relocation,
    ShardMap,
    SlotsMove,
    TenantMove,
    changes_between,
)


async def shown(
    catalog: Catalog, old: ShardMap | None, asked: ShardMap
) -> tuple[Proposal, Estimate | None]:
    """The change, and what its moves would cost."""
    proposal = propose_change(old, asked)
    return proposal, await cost(catalog, proposal)


def carry_out(  # noqa: PLR0913 - what is changed, by whom, how
    catalog: Catalog,
    old: ShardMap | None,
    asked: ShardMap,
    why: Why,
    *,
    yes: bool,
    dry_run: bool = False,
    limits: Limits | None = None,
) -> None:
    """Show the change, ask, apply it and make its moves; ends the command when it cannot be done."""
    looked = run(look_at(catalog, old, asked))
    proposal = looked.proposal
    estimate = run(cost(catalog, proposal))
    click.echo(proposal.text() + (estimate.text() if estimate is not None else ""), nl=False)
    tell(looked)
    lines = refusal_lines(looked)
    if not lines and not proposal.refused:
        lines = [f"refused: {one}" for one in named(hindrances(catalog, proposal))]
    if lines or proposal.refused:
        raise Failed(lines, PROBLEMS)
    if dry_run:
        return
    if not proposal.changed:
        run(settle_uniques(proposal.next, catalog.environ, proposal.old))
        return
    if not yes:
        click.confirm(_question(proposal), abort=True)
    put_in_force(catalog, proposal, why, limits)


def put_in_force(
    catalog: Catalog, proposal: Proposal, why: Why, limits: Limits | None = None
) -> None:
    """Apply what moves nothing, make the moves, and end what depends on them."""
    if proposal.old is None or changes_between(proposal.old, proposal.next):
        applied = run(apply_change(catalog, proposal, why))
        click.echo(f"epoch {applied.epoch} is in force")
    if not proposal.moves:
        return
    entry = AuditEntry(why.actor, why.via, "move", moves_text(proposal.moves), why.reason)
    run(note(catalog, entry))
    screen = Screen(as_json=False)
    outcomes = named(moving.run(catalog, proposal.moves, limits or Limits(), screen))
    failed = 0
    for outcome in outcomes:
        if outcome.error is not None:
            failed += 1
            click.echo(f"{outcome.plan.title}: {outcome.error.code} {outcome.error}", err=True)
    if failed:
        again = "`fluxshard moves` shows them, `moves resume` goes on; then repeat this command"
        raise Failed([f"{failed} moves have not been made: {again}"], PROBLEMS)
    ended = named(moving.finish(catalog, proposal, why, screen))
    click.echo(f"{len(outcomes)} moves made; epoch {ended.epoch} is in force")


def moves_text(moves: Sequence[Relocation]) -> str:
    """What moves, in a few words."""
    tenants = sum(isinstance(move, TenantMove) for move in moves)
    slots = sum(len(move.slots) for move in moves if isinstance(move, SlotsMove))
    words = [f"{count} {what}" for count, what in ((tenants, "tenants"), (slots, "slots")) if count]
    return " and ".join(words)


def _question(proposal: Proposal) -> str:
    if not proposal.moves:
        return f"Apply this as epoch {proposal.next.epoch}?"
    return f"Move {moves_text(proposal.moves)}?"


def tell(looked: Looked) -> None:
    """Print what the servers say that keeps nothing from being done."""
    for finding in looked.findings.warnings:
        click.echo("\n".join(finding.lines("warning")), err=True)
    for shard, why in looked.unchecked.items():
        click.echo(f"warning: {shard} was not checked: {why}", err=True)
    for finding in looked.findings.awaited:
        click.echo(f"note: {finding}; fluxshard migrate makes it", err=True)


def refusal_lines(looked: Looked) -> list[str]:
    """What the servers say that keeps the change from being made."""
    lines = [f"refused: {problem}" for problem in looked.absent]
    return lines + [line for one in looked.findings.blocking for line in one.lines("refused")]
