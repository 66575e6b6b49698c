"""`fluxshard demo`: a cluster with data and the API, to look at or to be shown around."""

import asyncio
import signal
import sys
from pathlib import Path

import click

from server.demo.client import Client
from server.demo.errors import DemoError, ServerEnded
from server.demo.place import default_directory
from server.demo.screen import Screen
from server.demo.show import show
from server.demo.stage import Options, Stage, open_stage
from server.demo.tour import Tour
from server.embedded import EmbeddedError


@click.command("demo")
@click.option("--tour", is_flag=True, help="Act as clients, show the evidence, clean up and end.")
@click.option("--port", default=8080, show_default=True, help="The API's port, or the next free.")
@click.option("--shards", default=2, show_default=True, type=click.IntRange(1, 16))
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(0, 5))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the cluster is made and, at the end, removed.  [default: in memory, else /tmp]",
)
@click.option(
    "--break",
    "broken",
    metavar="SERVER",
    help="Kill this PostgreSQL server before the tour, to see that the tour then fails.",
)
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    tour: bool,  # noqa: FBT001 - click's signature
    port: int,
    shards: int,
    replicas: int,
    workers: int,
    directory: Path | None,
    broken: str | None,
) -> None:
    """Start a sharded cluster with 130,000 rows of 36 companies behind one REST API."""
    screen = Screen()
    try:
        place = directory.resolve() if directory is not None else default_directory()
        options = Options(place, port, shards, replicas, workers)
        asyncio.run(_run(options, screen, tour=tour, broken=broken))
    except (DemoError, EmbeddedError) as error:
        screen.step(f"FAILED {error.code}: {error}")
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.step("ended, everything that was made is removed")
        sys.exit(130)


async def _run(options: Options, screen: Screen, *, tour: bool, broken: str | None) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(ending, task.cancel)
    async with open_stage(options, screen) as stage:
        if broken is not None:
            await stage.cluster.kill(broken)
            screen.step(f"{broken} was killed on purpose")
        if tour:
            async with Client(stage.url) as client:
                await Tour(stage, client, screen).run()
            return
        show(stage, screen)
        await _until_ended(stage)


async def _until_ended(stage: Stage) -> None:
    """Until Ctrl-C, or until the API server ends by itself.

    Raises:
        ServerEnded: It did.
    """
    await stage.process.wait()
    raise ServerEnded(f"the API server ended; its log is {stage.log}")
