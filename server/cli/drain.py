"""`fluxshard drain SHARD`: everything off one shard."""

import click

from server.cli.wanting import Wanted, wanting
from shardmap import ShardId, ShardMap, drained


@click.command("drain")
@click.argument("shard")
@wanting
def command(*, wanted: Wanted, shard: str) -> None:
    """Move everything off SHARD to the others, by weight. Its weight becomes 0.

    Only shown unless --apply is given. Afterwards `fluxshard moves clean` ends the ways back, and
    `fluxshard shard remove` takes it out of the map.
    """
    old = wanted.old()

    async def work() -> ShardMap:
        return drained(old, ShardId(shard))

    wanted.carry_out(old, wanted.run(work()))
