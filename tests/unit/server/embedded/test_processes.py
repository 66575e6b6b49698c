import os
import subprocess
import sys

import pytest

from server.embedded.processes import Traces, alive, arguments, belongs

TRACES = Traces(frozenset({"/c/data/shard_0-a", "/c/data/shard_0-a.new"}), "shard_0-a@1234abcd")


@pytest.mark.parametrize(
    "argv",
    [
        ("/pg/bin/postgres", "-D", "/c/data/shard_0-a"),
        ("/pg/bin/postgres", "--single", "-F", "-D", "/c/data/shard_0-a", "template1"),
        ("postgres: shard_0-a@1234abcd: walwriter ",),
    ],
    ids=str,
)
def test_processes_of_the_server_are_known(argv):
    assert belongs(argv, TRACES)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("",),
        ("du", "-sh", "/c/data/shard_0-a"),
        ("/pg/bin/postgres", "-D", "/c/data/shard_0-b"),
        ("postgres: shard_0-a@ffffffff: walwriter ",),
        ("postgres: shard_0-ab@1234abcd: walwriter ",),
        ("vim", "postgres: shard_0-a@1234abcd: notes"),
    ],
    ids=str,
)
def test_other_processes_are_let_alone(argv):
    assert not belongs(argv, TRACES)


def test_a_process_that_ended_and_was_not_reaped_is_not_alive():
    reads, writes = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", "pass"], stdout=writes)
    os.close(writes)
    assert os.read(reads, 1) == b""  # its end of the pipe is closed: it has ended
    os.close(reads)

    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    dead = not alive(child.pid)
    child.wait()

    assert dead
    assert arguments(child.pid) == ()


def test_we_are_alive():
    assert alive(os.getpid())
