"""A read that failed and left no trace, repeated: on another endpoint where that helps."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random

from router.backend_settings import BackendSettings
from router.context import QueryContext
from router.live.failures import ELSEWHERE, BehindFloor, EndpointFull, RecoveryConflict, TryAgain
from router.live.shards import ShardEndpoints
from router.observe import Observer, ReadRetried

LONGEST_RETRY_PAUSE_S: Final = 0.01

Answer = TypeVar("Answer")


class Retries:
    """Repeats reads, as often as the settings say and as long as their time allows."""

    def __init__(self, settings: BackendSettings, observe: Observer) -> None:
        self._attempts = max(1, settings.read_attempts - 1)
        self._observe = observe

    async def again(
        self,
        group: ShardEndpoints,
        context: QueryContext,
        once: Callable[[tuple[int, ...]], Awaitable[Answer]],
        first: TryAgain | EndpointFull,
    ) -> Answer:
        """What `once` gives, without the endpoints that it is called with; `first` has happened.

        An endpoint that was lost is out of traffic until a probe finds it well, so it need not be
        excluded; one whose replay interrupted the read, or that has no room for another connection,
        is well, and would do it again.
        """
        excluded: list[int] = []

        def note(failure: TryAgain | EndpointFull) -> None:
            self._observe(ReadRetried(group.shard, failure.endpoint, failure.code))
            index = group.index(failure.endpoint)
            if (
                isinstance(failure, RecoveryConflict | BehindFloor | EndpointFull)
                and index is not None
            ):
                excluded.append(index)

        def before_pause(state: RetryCallState) -> None:
            failure = state.outcome.exception() if state.outcome is not None else None
            if isinstance(failure, ELSEWHERE):
                note(failure)

        async def again() -> Answer:
            return await once(tuple(excluded))

        note(first)
        return await AsyncRetrying(
            retry=retry_if_exception_type(ELSEWHERE),
            stop=stop_after(self._attempts, context),
            wait=wait_random(0, LONGEST_RETRY_PAUSE_S),
            before_sleep=before_pause,
            reraise=True,
        )(again)


def stop_after(attempts: int, context: QueryContext) -> Callable[[RetryCallState], bool]:
    """Stop after so many attempts, or when the request's time has run out."""

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= attempts or context.deadline.remaining_s() <= 0

    return stop
