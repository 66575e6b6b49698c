"""An event loop whose time passes at once: it jumps to the next timer when nothing is to do."""

import asyncio
import selectors


class _Jumping(selectors.DefaultSelector):
    def __init__(self):
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout=None):
        if timeout:
            self.passed_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.passed_s


def run(work):
    """The result of work given the clock of a loop in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def timed():
            return await work(asyncio.get_running_loop().time)

        return runner.run(timed())
