"""A mover that is killed, or stopped, after so many of its statements.

Its one argument is JSON: the map, the move, what to do with it, after how many statements (null:
never) which signal it sends itself, and its lease. Prints the state that it reached, or the error's code.
"""

import asyncio
import json
import os
import signal
import sys

from server.moves import Limits, MoveError, Moves, Places
from shardmap import read_map


class Doomed(Places):
    """Counts the statements of all sessions; ends this process after the n-th."""

    left = None
    signal = signal.SIGKILL

    async def _connected(self, endpoint):
        session = await super()._connected(endpoint)
        session.add_query_logger(self._count)
        return session

    @classmethod
    def _count(cls, _):
        if cls.left is not None:
            cls.left -= 1
            if cls.left == 0:
                os.kill(os.getpid(), cls.signal)


async def main(given):
    Doomed.left = given["after"]
    Doomed.signal = signal.Signals[given["signal"]]
    limits = Limits(lease_s=given["lease_s"])
    moves = Moves(Doomed(read_map(given["map"]), os.environ), limits)
    work = getattr(moves, given["what"])
    try:
        move = await work(given["move"], lambda _: None)
    except MoveError as error:
        print(error.code, error, flush=True)
        return
    print(move.state.value, flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
