"""`fluxshard split SLOT`: half of a hot slot's load to other shards."""

import click

from server.cli.wanting import Wanted, wanting
from server.mapchange.balancing import split_slot
from server.tenants.measuring import measure
from shardmap import SLOTS, ShardMap


@click.command("split")
@click.argument("slot", type=click.IntRange(0, SLOTS - 1))
@wanting
def command(*, wanted: Wanted, slot: int) -> None:
    """Pin the largest tenants of SLOT to other shards, until half of its bytes are gone.

    Slots are what the hash gives and cannot be divided; its tenants can be told apart. Only shown
    unless --apply is given.
    """
    old = wanted.old()

    async def work() -> ShardMap:
        sizes = await measure(old, wanted.catalog.environ, [old.slots[slot]])
        return split_slot(old, sizes, slot)

    wanted.carry_out(old, wanted.run(work()))
