"""The directories of worlds: gone afterwards, and those of killed processes at the next start."""

import subprocess
import sys

from bench.scratch import CLUSTER, remove_abandoned, scratch
from server.embedded import EmbeddedError

HOLDING = """
import asyncio, pathlib, sys
from bench.scratch import CLUSTER, scratch

async def main():
    async with scratch(pathlib.Path(sys.argv[1]), lambda _: None) as directory:
        (directory / CLUSTER).mkdir()
        print(directory, flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def holder(parent):
    """Another process with a directory of its own, and the directory's name."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def left(parent):
    return sorted(str(one) for one in parent.iterdir())


async def test_a_directory_is_gone_afterwards(tmp_path):
    async with scratch(tmp_path, print) as directory:
        (directory / "file").touch()
        assert directory.parent == tmp_path

    assert left(tmp_path) == []


async def test_what_a_killed_process_left_is_removed_with_its_servers_and_others_stay(tmp_path):
    living, its = holder(tmp_path)
    killed, abandoned = holder(tmp_path)
    killed.kill()
    killed.communicate()
    told, destroyed = [], []

    async def destroy(directory):
        destroyed.append(str(directory))

    await remove_abandoned(tmp_path, told.append, destroy)

    assert left(tmp_path) == [its]
    assert destroyed == [f"{abandoned}/{CLUSTER}"]
    assert told == [f"removing {abandoned}, which was left behind"]
    living.communicate()
    assert left(tmp_path) == []


async def test_what_cannot_be_removed_stays_and_is_told_of(tmp_path):
    killed, abandoned = holder(tmp_path)
    killed.kill()
    killed.communicate()
    told = []

    async def destroy(_):
        raise EmbeddedError("it is not ours")

    await remove_abandoned(tmp_path, told.append, destroy)

    assert left(tmp_path) == [abandoned]
    assert told[-1] == "it stays: it is not ours"
