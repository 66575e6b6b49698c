"""Moves of single tenants between two shards."""

from server.moves import MoveRequest, State


async def _moved(world, tenant, target, **options):
    moves = await world.moves(**options)
    (plan,) = await moves.plan(MoveRequest(target, tenants=(str(tenant),)))
    assert plan.problems == ()
    facts = []
    (outcome,) = await moves.run([plan], facts.append)
    if outcome.error is not None:
        raise outcome.error
    return outcome.move, facts


async def test_a_tenant_moves_with_all_its_rows_and_back_again(world):
    a, b = world.first.shards
    tenant = world.tenant(a)
    await world.fill(tenant, a)
    before = await world.contents(tenant, a)

    move, facts = await _moved(world, tenant, b)

    assert move.state is State.MOVED
    assert await world.contents(tenant, b) == before
    assert (await world.map()).owner(str(tenant)) == b
    moves = await world.moves()
    back = await moves.rollback(move.id, facts.append)
    assert back.state is State.ROLLED_BACK
    assert await world.contents(tenant, a) == before
    assert not any((await world.contents(tenant, b)).values())
    assert (await world.map()).owner(str(tenant)) == a
    assert await world.leftovers() == []
