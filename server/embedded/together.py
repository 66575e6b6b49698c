"""Doing things side by side, with one error coming out."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TypeVar

from server.embedded.errors import EmbeddedError

T = TypeVar("T")


async def together(steps: Iterable[Coroutine[object, object, T]]) -> tuple[T, ...]:
    """The results in order. A failing step cancels the others; the first error is raised.

    The first of ours or of the operating system's, that is. Anything else is a mistake in the
    program, of which all is wanted.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            pending = [tasks.create_task(step) for step in steps]
    except BaseExceptionGroup as failures:
        expected, others = failures.split((EmbeddedError, OSError))
        if expected is None or others is not None:
            raise
        raise _first(expected) from failures
    return tuple(task.result() for task in pending)


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
