"""How every command changes the map: shown first, asked for, then applied."""

import click

from server.cli.mapaccess import PROBLEMS, Catalog, Failed, run
from server.mapchange.applying import Looked, Why, apply_change, look_at
from server.mapchange.costing import cost
from server.mapchange.estimate import Estimate
from server.mapchange.proposal import Proposal, propose_change
from server.mapcheck import settle_uniques
from shardmap import ShardMap


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
) -> None:
    """Show the change, ask, and apply it; ends the command when it cannot be done."""
    looked = run(look_at(catalog, old, asked))
    proposal = looked.proposal
    estimate = run(cost(catalog, proposal))
    click.echo(proposal.text() + (estimate.text() if estimate is not None else ""), nl=False)
    tell(looked)
    lines = refusal_lines(looked)
    if lines or proposal.refused:
        raise Failed(lines, PROBLEMS)
    if dry_run:
        return
    if not proposal.changed:
        run(settle_uniques(proposal.next, catalog.environ, proposal.old))
        return
    if not yes:
        click.confirm(f"Apply this as epoch {proposal.next.epoch}?", abort=True)
    applied = run(apply_change(catalog, proposal, why))
    click.echo(f"epoch {applied.epoch} is in force")


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
