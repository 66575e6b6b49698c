"""A plan carried out on plain streaming replication: by SQL alone, and undone where it cannot end well."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from server.failover import deeds
from server.failover.conninfo import following_by_hand, pointed_at, rejoining_by_hand
from server.failover.errors import FailoverBroken, FailoverError, FailoverRefused
from server.failover.facts import ServerFacts
from server.failover.plan import FailoverPlan, make_plan
from server.failover.servers import Servers
from shardmap import Durability

CATCH_UP_S: Final = 30.0
"""How long a switchover waits for its heir, with clients shut out: then it is called off."""
FOLLOW_S: Final = 30.0
"""How long a replica may take to stream from its new primary, before an operator is told to look."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """A failover that was done."""

    plan: FailoverPlan
    timeline: int | None
    following: tuple[str, ...]
    by_hand: tuple[str, ...]
    """What is left to the operator: lines of commands, with comments."""
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            **self.plan.document(),
            "done": True,
            "timeline": self.timeline,
            "following": list(self.following),
            "by_hand": list(self.by_hand),
            "warnings": list(self.warnings),
        }


class Streaming:
    """Carries plans out on servers that are reached by SQL."""

    def __init__(self, servers: Servers, progress: Progress) -> None:
        self._servers = servers
        self._progress = progress

    async def carry_out(self, plan: FailoverPlan, facts: tuple[ServerFacts, ...]) -> Done:
        """Promote the heir, and let the others follow it.

        Raises:
            FailoverRefused: What was found on the way could lose acknowledged writes; undone.
            FailoverBroken: A server did not do its part; says what is how.
        """
        known = {server.name: server for server in facts}
        if plan.old is not None:
            timeline = await self._switched(plan, plan.old)
        else:
            plan, timeline = await self._failed_over(plan, known)
        following, by_hand = await self._followed(plan, known, timeline)
        warnings = await self._durable(plan, known, following)
        host, port = self._servers.address(plan.heir)
        for name in (plan.old, *plan.lost):
            if name is not None:
                directory = known[name].directory
                by_hand += rejoining_by_hand(name, directory, host, port)
        return Done(plan, timeline, tuple(following), tuple(by_hand), tuple(warnings))

    async def _switched(self, plan: FailoverPlan, old: str) -> int:
        """A switchover: the old primary is shut for clients before the heir is promoted."""
        databases = plan.asked.databases
        self._progress(f"{old}: shutting {', '.join(databases)} for clients")
        promoted = False
        try:
            lsn = await deeds.shut(self._servers, old, databases)
            self._progress(f"{plan.heir}: waiting until it has all of {old}")
            if not await deeds.replayed(self._servers, plan.heir, lsn, CATCH_UP_S):
                raise FailoverBroken(
                    f"{plan.heir} has not replayed all of {old} within {CATCH_UP_S:g} s;"
                    f" {old} is the primary as before"
                )
            timeline = await self._promoted(plan)
            promoted = True
        finally:
            if not promoted:
                await self._called_off(plan, old)
        self._progress(f"{plan.heir}: opening {', '.join(databases)} for clients")
        await deeds.reopen(self._servers, plan.heir, databases)
        return timeline

    async def _called_off(self, plan: FailoverPlan, old: str) -> None:
        """Open the old primary again, if the heir has not become one after all."""
        fact = await asyncio.shield(self._servers.fact(plan.heir))
        if fact.away is None and fact.recovering:
            self._progress(f"{old}: opening it again")
            await deeds.reopen(self._servers, old, plan.asked.databases)
            return
        names = ", ".join(plan.asked.databases)
        self._progress(
            f"{plan.heir} may have been promoted: {names} on {old} stay shut. Run the command"
            f" again, or open them there: ALTER DATABASE … ALLOW_CONNECTIONS true"
        )

    async def _failed_over(
        self, plan: FailoverPlan, known: dict[str, ServerFacts]
    ) -> tuple[FailoverPlan, int]:
        """The lost primary may still be alive where we cannot see it: nobody gets more from it."""
        names = (plan.heir, *plan.followers)
        cut: list[str] = []
        promoted = False
        try:
            for name in names:
                if not known[name].superuser:
                    continue  # it was not receiving anything
                self._progress(f"{name}: no longer receives from the lost primary")
                cut.append(name)
                await deeds.cut_off(self._servers, name)
            again = make_plan(plan.asked, await self._servers.facts())
            if again.old is not None:
                raise FailoverRefused(f"{again.old} is a primary that answers, by now")
            timeline = await self._promoted(again)
            promoted = True
        finally:
            if not promoted:
                await self._restored(cut, known)
        if known[again.heir].superuser:
            await deeds.forget_cut(self._servers, again.heir)
            # an interrupted switchover may have left them shut
            await deeds.reopen(self._servers, again.heir, plan.asked.databases)
        return again, timeline

    async def _restored(self, cut: list[str], known: dict[str, ServerFacts]) -> None:
        for name in cut:
            conninfo = known[name].conninfo
            if conninfo is not None:
                self._progress(f"{name}: receives as before")
                try:
                    await deeds.receive(self._servers, name, conninfo)
                except FailoverError as error:
                    self._progress(f"{name}: {error.message}; set its primary_conninfo again")

    async def _promoted(self, plan: FailoverPlan) -> int:
        self._progress(f"{plan.heir}: promoting it to primary of {plan.asked.shard}")
        timeline = await deeds.promote(self._servers, plan.heir)
        self._progress(f"{plan.heir}: primary on timeline {timeline}")
        return timeline

    async def _followed(
        self, plan: FailoverPlan, known: dict[str, ServerFacts], timeline: int
    ) -> tuple[list[str], list[str]]:
        """The followers that stream from the heir, and what is to be done by hand for the others."""
        host, port = self._servers.address(plan.heir)
        pointed: list[str] = []
        by_hand: list[str] = []
        for name in plan.followers:
            fact = known[name]
            conninfo = pointed_at(fact.conninfo or "", host, port)
            if conninfo is None or not fact.superuser:
                by_hand += following_by_hand(name, host, port, fact.slot)
                continue
            try:
                if fact.slot:
                    await deeds.make_slot(self._servers, plan.heir, fact.slot)
                await deeds.receive(self._servers, name, conninfo)
            except FailoverError as error:
                self._progress(error.message)
                by_hand += following_by_hand(name, host, port, fact.slot)
            else:
                self._progress(f"{name}: follows {plan.heir}")
                pointed.append(name)
        following: list[str] = []
        for name in pointed:
            if await self._streams(name, timeline):
                following.append(name)
            else:
                self._progress(f"{name}: does not stream from {plan.heir}, see its log")
                by_hand += rejoining_by_hand(name, known[name].directory, host, port)
        return following, by_hand

    async def _streams(self, name: str, timeline: int) -> bool:
        try:
            return await deeds.follows(self._servers, name, timeline, FOLLOW_S)
        except FailoverError as error:
            self._progress(error.message)
            return False

    async def _durable(
        self, plan: FailoverPlan, known: dict[str, ServerFacts], following: list[str]
    ) -> list[str]:
        """Let commits of a quorum shard wait for a replica on the heir, too, as soon as it has one."""
        if plan.asked.durability is not Durability.QUORUM or known[plan.heir].synchronous.strip():
            return []
        if not following:
            warning = (
                f"{plan.asked.shard} is a quorum shard, and commits on {plan.heir} wait for nobody"
                " until it has a replica and synchronous_standby_names = 'ANY 1 (*)'"
            )
            return [warning]
        self._progress(f"{plan.heir}: commits wait for one replica (ANY 1 (*))")
        await deeds.make_quorum(self._servers, plan.heir)
        return []
