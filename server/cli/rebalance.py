"""`fluxshard rebalance`: every shard with its share, of slots or of bytes."""

import click

from server.cli.wanting import Wanted, wanting
from server.mapchange.balancing import TOLERANCE, Balance, balanced
from server.tenants.measuring import measure
from server.tenants.sizes import Sizes, bytes_text
from shardmap import ShardMap, rebalanced


@click.command("rebalance")
@click.option(
    "--by",
    type=click.Choice(["slots", "size"]),
    default="slots",
    show_default=True,
    help="Fair in slots, by the ring; or in bytes that the tenants have.",
)
@click.option(
    "--within",
    type=click.IntRange(1, 100),
    default=round(100 * TOLERANCE),
    show_default=True,
    metavar="PERCENT",
    help="With --by size: how far from fair a shard may be.",
)
@wanting
def command(*, wanted: Wanted, by: str, within: int) -> None:
    """Give every shard its share by weight, with as few moves as that takes.

    By slots the consistent hash ring proposes which move. By size the tenants' rows are measured;
    large tenants are moved on their own, and pinned. Only shown unless --apply is given.
    """
    old = wanted.old()

    async def by_slots() -> ShardMap:
        return rebalanced(old)

    asked = wanted.run(by_slots()) if by == "slots" else _by_size(wanted, old, within)
    wanted.carry_out(old, asked)


def _by_size(wanted: Wanted, old: ShardMap, within: int) -> ShardMap:
    async def work() -> tuple[Sizes, Balance]:
        sizes = await measure(old, wanted.catalog.environ)
        return sizes, balanced(old, sizes, within / 100)

    sizes, found = wanted.run(work())
    if not wanted.as_json:
        for shard, before in sorted(found.before.items()):
            click.echo(
                f"{shard}: {bytes_text(before)}, then {bytes_text(found.after[shard])};"
                f" fair is {bytes_text(round(found.fair[shard]))}"
            )
        for tenant in found.pins:
            click.echo(f"tenant {tenant} is large: {bytes_text(sizes.of(tenant).bytes)}, pinned")
        for what in sizes.unknown:
            click.echo(f"not counted: {what}", err=True)
    return found.wanted
