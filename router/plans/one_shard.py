"""The one shard that all statements of a transaction are on."""

from collections.abc import Sequence

from router.errors import InTransaction, SeveralShardsInTransaction
from router.plans.plan import AnyShard, OneShard, Plan
from shardmap import ShardId


def fits(plan: Plan, shard: ShardId | None) -> ShardId:
    """The shard of a transaction that runs this plan too; `shard` is None where none is known yet.

    Raises:
        SeveralShardsInTransaction: The plan is for another shard, or for several.
    """
    if plan.together is not None and plan.together.unique:
        raise SeveralShardsInTransaction(
            "a write of globally unique columns cannot be part of a transaction",
            hint="Run it as a statement of its own.",
        )
    match plan.route:
        case OneShard(own) if plan.together is None:
            if shard is not None and shard != own:
                raise SeveralShardsInTransaction(f"a transaction on {shard} cannot go on on {own}")
            return own
        case AnyShard(own) if plan.together is None:
            return shard or own
        case _:
            raise SeveralShardsInTransaction(
                "a statement that concerns several shards cannot be part of a transaction"
            )


def shard_of_all(plans: Sequence[Plan]) -> ShardId:
    """The one shard that all plans can run on.

    Raises:
        InTransaction: There is none; names the first statement that needs another.
    """
    shard: ShardId | None = None
    anywhere: ShardId | None = None
    for index, plan in enumerate(plans):
        try:
            found = fits(plan, shard)
        except SeveralShardsInTransaction as refusal:
            raise InTransaction(index, refusal) from refusal
        if isinstance(plan.route, AnyShard):
            anywhere = anywhere or found
        else:
            shard = found
    chosen = shard or anywhere
    if chosen is None:
        raise AssertionError("a transaction has statements")
    return chosen
