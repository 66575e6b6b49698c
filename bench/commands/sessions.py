"""`fluxshard bench sessions`: whether any read is older than what its session has written or seen."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from bench.commands.options import run, told
from bench.processes import Meter
from bench.report import publish
from bench.result import Result
from bench.sessions.check import Lagging, broken_promises, check, users_of
from bench.sessions.report import lines
from bench.sessions.users import TABLES, fill
from bench.world import SERVED_BY, WorldSpec, open_world

DELAYS_MS: Final = (0.0, 50.0, 2000.0)


@click.command()
@click.option("--reads", default=200_000, show_default=True, help="In all, over all delays.")
@click.option(
    "--delay",
    "delays_ms",
    type=click.FloatRange(0),
    multiple=True,
    default=DELAYS_MS,
    show_default=True,
    help="Milliseconds by which replicas show commits later; may be given several times.",
)
@click.option("--instances", default=3, show_default=True, help="Servers of Fluxshard.")
@click.option("--workers", default=1, show_default=True, help="Processes of each.")
@click.option("--replicas", default=2, show_default=True)
@click.option("--users", default=24, show_default=True, help="Sessions, all at work at once.")
@click.option(
    "--rounds", default=4, show_default=True, help="Of writing and catching up, by delay."
)
@click.option("--unchecked", is_flag=True, help="Ask for no freshness: stale reads must be found.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--seed", default=1, show_default=True, help="Seeds all that is by chance.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory for result.json and table.",
)
def command(  # noqa: PLR0913 - its options
    *,
    reads: int,
    delays_ms: Sequence[float],
    instances: int,
    workers: int,
    replicas: int,
    users: int,
    rounds: int,
    unchecked: bool,
    as_json: bool,
    seed: int,
    out: Path | None,
) -> None:
    """Count stale reads (an own write not seen) and backward ones (older than an earlier read).

    Users write numbered rows and read them at once through other instances than they wrote
    through, while replicas lag by a set time. Ends with 1 when a read was stale or backward, when
    anything failed, or when replicas that had caught up answered less than 90 % of the reads; with
    --unchecked when no read was stale, because then the checker would prove nothing.
    """
    spec = WorldSpec(
        replicas=replicas, instances=instances, workers=workers, settings=settings(instances)
    )
    found, spent = run(_checked(spec, delays_ms, reads, users, rounds, seed, checked=not unchecked))
    wrong = broken_promises(found, checked=not unchecked)
    parameters = {"reads": reads, "users": users, "rounds": rounds, "checked": not unchecked}
    result = Result(
        command="sessions",
        title=f"session guarantees{' (not asked for)' if unchecked else ''}:"
        f" {users} users, {instances} instances of {workers} workers, {replicas} replicas",
        runs=(),
        figures={
            "delays": [one.as_json() for one in found],
            "broken_promises": wrong,
            "parameters": parameters,
            "world": spec.as_json(),
            "spent": spent,
        },
    )
    text = "\n".join([result.title, *lines(found, spent), *(f"BROKEN  {what}" for what in wrong)])
    click.echo(json.dumps(result.as_json()) if as_json else text)
    if out is not None:
        told(publish(result, out).splitlines()[-1])
    if wrong:
        raise SystemExit(1)


def settings(instances: int) -> dict[str, str]:
    """What so many instances need to keep the freshness of sessions together."""
    del instances
    return dict(SERVED_BY)


async def _checked(  # noqa: PLR0913, PLR0917 - what is to be checked
    spec: WorldSpec,
    delays_ms: Sequence[float],
    reads: int,
    users: int,
    rounds: int,
    seed: int,
    *,
    checked: bool,
) -> tuple[list[Lagging], dict[str, object]]:
    async with (
        open_world(spec, TABLES, fill, told) as world,
        users_of(world, users, checked=checked, seed=seed) as generator,
    ):
        meter = Meter(world.parts())
        found = [
            await check(
                world,
                generator,
                delay_ms / 1000,
                reads=reads // len(delays_ms),
                rounds=rounds,
                progress=told,
            )
            for delay_ms in delays_ms
        ]
        spent = meter.spent().as_json()
        return found, {**spent, "load generator": round(generator.cpu_s, 3)}
