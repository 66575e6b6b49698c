"""The ends of a move: aborted before its cutover, or cleaned up after its retention."""

from server.moves.cleaning import take_rows_away
from server.moves.cutover import Cutover
from server.moves.errors import WrongState
from server.moves.fences import claim, drop_fence, read_fences, set_fence, texts
from server.moves.homes import forget, is_decided
from server.moves.pinning import unpin_at_home
from server.moves.request import Move, State
from server.moves.streams import backward_stream, forward_stream, take_down
from server.moves.work import Work
from shardmap import MapRefused, TenantId


async def abort(work: Work, move: Move) -> Move:
    """Everything as before the move: no rows on the target, no streams, its fences as they were.

    Raises:
        WrongState: The cutover has been decided meanwhile: the move goes on instead.
    """
    epochs = {unit: epoch + 1 for unit, epoch in move.facts.get("epochs", {}).items()}
    if epochs:
        cutover = Cutover(forward_stream(move), None, epochs, ())
        if await is_decided(work, cutover):
            return await work.journal.step(move, State.CUTOVER)
    await take_down(work.places, forward_stream(move))
    await take_down(work.places, backward_stream(move))
    if epochs:
        await _emptied(work, move)
    kept = [
        why
        for tenant in move.facts.get("pinned", ())
        if (why := await _unpinned(work, move, tenant))
    ]
    for why in kept:
        work.tell(move, note=why)
    return await work.journal.step(move, State.ABORTED, {"pins_kept": kept} if kept else None)


async def _unpinned(work: Work, move: Move, tenant: str) -> str | None:
    """Take back the pin that the move made; why it stays, where the slot has left or is about to.

    The tenant is at home where its pin says, so that nothing is wrong with it.
    """
    try:
        await unpin_at_home(
            work.places,
            TenantId(tenant),
            author=work.author,
            reason=f"move {move.id} was aborted: its pin goes",
        )
    except (WrongState, MapRefused) as error:
        return f"the pin of tenant {tenant} stays: {error}"
    return None


async def _emptied(work: Work, move: Move) -> None:
    before = move.facts.get("before", {})
    async with work.places.primary(move.target) as session:
        arriving = await _arriving(work, move)
        if arriving:
            await take_rows_away(work, session, move, move.target)

        async def restored() -> None:
            async with session.transaction():
                for unit, fence in sorted((await claim(session, move)).items()):
                    if fence.state != "arriving":
                        continue
                    if unit not in before:
                        await drop_fence(session, unit, move.lease)
                        continue
                    epoch, _, _ = before[unit]
                    await set_fence(
                        session,
                        unit,
                        epoch=epoch,
                        state="gone",
                        moved_to=move.source,
                        lease=move.lease,
                        tenants=None,
                    )

        await work.patiently(restored)


async def _arriving(work: Work, move: Move) -> bool:
    async with work.places.primary(move.target) as session:
        found = await read_fences(session, move.units)
    states = {found[unit].state for unit in texts(move.units) if unit in found}
    return states == {"arriving"}


async def clean(work: Work, move: Move) -> Move:
    """No way back any more: the stream back and the source's rows are gone."""
    await take_down(work.places, backward_stream(move))
    await forget(work, move, move.source)
    return await work.journal.step(move, State.CLEANED)
