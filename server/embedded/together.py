"""Doing things side by side, with one error coming out."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TypeVar

from server.embedded.errors import EmbeddedError

T = TypeVar("T")


async def together(steps: Iterable[Coroutine[object, object, T]]) -> tuple[T, ...]:
    """The results in order. A failing step cancels the others; the first of our errors is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            pending = [tasks.create_task(step) for step in steps]
    except BaseExceptionGroup as failures:
        ours, others = failures.split(EmbeddedError)
        if ours is None or others is not None:
            raise  # a mistake of ours, not an answer to the operator: all of it is wanted
        raise _first(ours) from failures
    return tuple(task.result() for task in pending)


def _first(failures: BaseExceptionGroup[EmbeddedError]) -> EmbeddedError:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
