"""`fluxshard bench drill`: servers and networks fail under load, and promises are checked."""

import json
from pathlib import Path

import click

from bench.commands.options import run, settings_option, told
from bench.drills.crowd import Habits
from bench.drills.drill import Phases, open_scene, run_drill, scene_spec
from bench.drills.events import DRILLS
from bench.drills.report import course, paragraph, round_of, summed
from bench.report import publish
from bench.result import Result, Run
from bench.world import WorldSpec
from shardmap import Durability

ALL = "all"
NOTES = (
    "latencies count from when a request was due; an error counts as endless",
    "a p99 is as before when it is at most twice the normal one and 5 ms",
    "every server, the router, the network and the generator share this machine",
)


@click.command()
@click.argument("name", metavar="NAME", type=click.Choice([*DRILLS, ALL]))
@click.option("--times", default=1, show_default=True, help="How many times each drill is done.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=100.0,
    show_default=True,
    help="Requests that are due in a second, a fifth of them writes.",
)
@click.option("--workers", default=1, show_default=True, help="Processes of Fluxshard.")
@click.option(
    "--durability",
    type=click.Choice([one.value for one in Durability]),
    default=Durability.QUORUM.value,
    show_default=True,
    help="Whether a commit waits for a replica. Without, lost writes are counted, not judged.",
)
@click.option(
    "--repeat-unknown",
    is_flag=True,
    help="Writes carry an Idempotency-Key, and those of unknown outcome are repeated.",
)
@click.option("--normal", "normal_s", default=4.0, show_default=True, help="Seconds before it.")
@click.option(
    "--broken",
    "broken_s",
    type=click.FloatRange(2.5),
    default=6.0,
    show_default=True,
    help="Seconds that it lasts; reads are judged from the third one on.",
)
@click.option("--untimed", is_flag=True, help="Judge what was answered, not how fast.")
@click.option("--timeline", is_flag=True, help="Print each tenth of a second around the event.")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--seed", default=1, show_default=True, help="Seeds all that is by chance.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory for result.json, table and plots.",
)
def command(  # noqa: PLR0913 - its options
    *,
    name: str,
    times: int,
    rate: float,
    workers: int,
    durability: str,
    repeat_unknown: bool,
    normal_s: float,
    broken_s: float,
    untimed: bool,
    timeline: bool,
    settings: dict[str, str],
    as_json: bool,
    seed: int,
    out: Path | None,
) -> None:
    """Break servers or their network under an open loop of load, and check what was promised.

    Reads: no error, none stale, p99 as before within 2 s. Writes: only documented refusals and
    COMMIT_UNKNOWN; at the end the database is compared with what each writer was told: none
    acknowledged and lost (on quorum shards), none applied twice. Ends with 1 when that is not so.

    \b
    NAME is one of:
      replica-killed    replica-frozen    replica-cut-off    primary-killed-and-promoted
      two-primaries     all-replicas-gone network-slow       primary-cut-off
      answers-lost      all
    """  # noqa: D301 - a backspace, which click reads
    phases = Phases(
        rate=rate,
        normal_s=normal_s,
        broken_s=broken_s,
        habits=Habits(repeat_unknown=repeat_unknown, seed=seed),
    )
    names = list(DRILLS) if name == ALL else [name]
    spec = scene_spec(workers=workers, durability=Durability(durability), settings=settings)
    result, wrong, slow = run(_drilled(spec, names, times, phases, timeline=timeline))
    if out is not None:
        told(publish(result, out).splitlines()[-1])
    if as_json:
        click.echo(json.dumps(result.as_json()))
    if wrong or (slow and not untimed):
        raise SystemExit(1)


async def _drilled(
    spec: WorldSpec, names: list[str], times: int, phases: Phases, *, timeline: bool
) -> tuple[Result, bool, bool]:
    """The result, and whether promises were broken: those of answers, those of time."""
    runs, figures, details, wrong, slow = [], {}, {}, False, False
    async with open_scene(spec, told) as scene:
        for name in names:
            drill, judgements, rounds = DRILLS[name], [], []
            for number in range(times):
                told(f"{name}, {number + 1} of {times}")
                judgement, spent = await run_drill(scene, drill, phases)
                judgements.append(judgement)
                rounds.append(round_of(name, judgement, spent, phases.habits.seed))
                if timeline:
                    told(course(judgement))
            told(paragraph(name, drill.about, judgements, rounds))
            wrong |= any(one.broken for one in judgements)
            slow |= any(one.slow for one in judgements)
            figures[name] = summed(judgements)
            details[name] = [one.as_json() for one in judgements]
            runs.append(
                Run(
                    name=name,
                    parameters={"about": drill.about, "rate": phases.rate, "times": times},
                    world=scene.world.spec.as_json(),
                    rounds=rounds,
                )
            )
    result = Result(
        command="drill",
        title=f"failover drills, {phases.rate:g} requests/s in an open loop",
        runs=runs,
        figures=figures,
        details=details,
        notes=NOTES,
    )
    return result, wrong, slow
