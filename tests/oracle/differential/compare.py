"""Runs one statement on a router and on the database that holds the same rows, and compares."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import asyncpg

from router import (
    Deadline,
    Form,
    QueryContext,
    Result,
    RouterError,
    Statement,
    StatementFailed,
)
from router.statement import SEPARATOR

from .statements import Case
from .tree import Rendered
from .world import Alone, Contents, Routed, Worlds, affected_by

TIME_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as texts, in order. `types` is None where they cannot be seen."""

    rows: tuple[str, ...]
    count: int
    columns: tuple[str, ...]
    types: tuple[str, ...] | None
    contents: Contents | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """PostgreSQL said no."""

    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The router said no, by name."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The router raised what is no error of its own."""

    error: str


Outcome = Answer | Failed | Refused | Crashed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a statement. `difference` is empty where all agree."""

    wanted: Outcome
    found: dict[str, Outcome]
    difference: str = ""

    @property
    def refusal(self) -> Refused | None:
        return next((each for each in self.found.values() if isinstance(each, Refused)), None)


async def judge(worlds: Worlds, case: Case, text: Rendered) -> Verdict:
    """Run it everywhere, compare, and undo whatever was written."""
    scoped = case.scoped
    alone = worlds.one if scoped is None else worlds.alone[scoped]
    json = case.json and not (case.writes and ("RETURNING" not in text.sql or "WITH" in text.sql))
    try:
        wanted = await ask_one(alone, text, json=json, writes=case.writes, tenant=scoped)
        found: dict[str, Outcome] = {}
        for routed in worlds.routed:
            before = await routed.contents(scoped) if case.writes else {}
            found[routed.name] = await ask_router(routed, case, text, json=json)
            difference = differs(wanted, found[routed.name], text, routed)
            if not difference:
                difference = _contents_differ(wanted, found[routed.name], before, scoped)
            await routed.forget()
            if difference:
                return Verdict(wanted, found, f"{routed.name}: {difference}")
    finally:
        await alone.forget()
        for routed in worlds.routed:
            await routed.forget()
    return Verdict(wanted, found)


async def ask_one(
    alone: Alone, text: Rendered, *, json: bool, writes: bool, tenant: int | None
) -> Answer | Failed:
    connection = alone.session.connection
    sql = text.sql
    if json:
        body = re.sub(r";\s*$", "", sql) + "\n"
        sql = f"SELECT row_to_json(r)::text FROM ({body}) AS r"
        if writes:
            sql = f"WITH r AS ({body}) SELECT row_to_json(r)::text FROM r"
    try:
        if writes:
            await alone.session.write()
        prepared = await connection.prepare(sql)
        records = await prepared.fetch(*text.args)
    except asyncpg.PostgresError as error:
        return Failed(error.sqlstate or "", str(error))
    except (asyncpg.InterfaceError, ValueError, TypeError) as error:
        return Failed("driver", str(error))
    attributes = prepared.get_attributes()
    rows = tuple(record[0] if json else repr(tuple(record)) for record in records)
    count = len(rows) if attributes else affected_by(prepared.get_statusmsg())
    contents = await alone.contents(tenant) if writes else None
    if json:
        return Answer(rows, count, (), None, contents)
    names = tuple(attribute.name for attribute in attributes)
    types = tuple(attribute.type.name for attribute in attributes)
    return Answer(rows, count, names, types, contents)


async def ask_router(routed: Routed, case: Case, text: Rendered, *, json: bool) -> Outcome:
    scoped = case.scoped
    statement = Statement(text.sql, text.args, Form.JSON if json else Form.ROWS)
    context = QueryContext(
        role="authenticated" if scoped is not None and not case.service else "service_role",
        tenant=case.keys.id(scoped) if scoped is not None else None,
        session="oracle",
        claims="{}",
        deadline=Deadline.after(TIME_LIMIT_S),
    )
    try:
        if routed.streams and not case.writes:
            result = await streamed(routed, statement, context)
        else:
            result = await routed.router.answer(statement, context)
    except StatementFailed as failure:
        return Failed(failure.sqlstate, failure.message)
    except RouterError as refusal:
        return Refused(refusal.code, refusal.message)
    except (asyncpg.InterfaceError, ValueError) as error:
        if isinstance(error, asyncpg.InterfaceError):
            return Failed("driver", str(error))
        return Crashed(repr(error))
    except Exception as error:  # noqa: BLE001 - a crash is a finding
        return Crashed(repr(error))
    contents = await routed.contents(scoped) if case.writes else None
    return _answer(routed, result, contents, json=json)


async def streamed(routed: Routed, statement: Statement, context: QueryContext) -> Result:
    """The answer in pieces, put together."""
    answer = await routed.router.stream(statement, context, TIME_LIMIT_S)
    if isinstance(answer, Result):
        return answer
    try:
        pieces = [piece async for piece in answer]
    finally:
        await answer.close()
    return Result(
        row_count=sum(piece.row_count for piece in pieces),
        columns=answer.columns,
        rows=[row for piece in pieces for row in piece.rows],
        body=f"[{SEPARATOR.join(piece.text for piece in pieces)}]",
    )


def _answer(routed: Routed, result: Result, contents: Contents | None, *, json: bool) -> Answer:
    if json:
        body = result.body[1:-1]
        rows = tuple(body.split(SEPARATOR)) if body else ()
        if not rows and result.row_count:
            return Answer((), result.row_count, (), None, contents)
        return Answer(rows, len(rows), (), None, contents)
    rows = tuple(repr(tuple(row)) for row in result.rows)
    types = routed.backends.types if routed.backends.calls == 1 else None
    if types is not None and len(types) != len(result.columns):
        types = None
    return Answer(rows, result.row_count, result.columns, types, contents)


def differs(wanted: Outcome, found: Outcome, text: Rendered, routed: Routed) -> str:
    """In words, how a router's outcome is not what PostgreSQL's is; empty: it is, or it refused."""
    match wanted, found:
        case _, Crashed(error):
            return f"the router raised {error}"
        case _, Refused():
            written = [name for name, s in routed.backends.sessions.items() if s.writing]
            return f"refused after writing on {written}" if written else ""
        case Failed(state), Failed(other):
            return "" if state == other else f"SQLSTATE {other}, wanted {state}"
        case Failed(state, message), _:
            return f"answered, wanted SQLSTATE {state} ({message})"
        case _, Failed(state, message):
            return f"SQLSTATE {state} ({message}), wanted an answer"
        case Answer(), Answer():
            return _answers_differ(wanted, found, ordered="ordered" in text.marks)
    raise AssertionError(found)


def _answers_differ(wanted: Answer, found: Answer, *, ordered: bool) -> str:
    if wanted.columns and found.columns and wanted.columns != found.columns:
        return f"columns {found.columns}, wanted {wanted.columns}"
    if wanted.types and found.types and wanted.types != found.types:
        return f"types {found.types}, wanted {wanted.types}"
    if Counter(wanted.rows) != Counter(found.rows):
        more = list((Counter(found.rows) - Counter(wanted.rows)).elements())
        less = list((Counter(wanted.rows) - Counter(found.rows)).elements())
        return f"rows too many {more[:4]}, rows missing {less[:4]}"
    if ordered and wanted.rows != found.rows:
        return f"order {found.rows[:8]}, wanted {wanted.rows[:8]}"
    if wanted.count != found.count:
        return f"{found.count} rows, wanted {wanted.count}"
    return ""


def _contents_differ(wanted: Outcome, found: Outcome, before: Contents, tenant: int | None) -> str:
    """What the tables hold afterwards; a tenant's statement leaves the rows of others as they were."""
    if not (isinstance(wanted, Answer) and isinstance(found, Answer)):
        return ""
    if wanted.contents is None or found.contents is None:
        return ""
    expected = dict(wanted.contents)
    if tenant is not None:
        others = {place: held for place, held in before.items() if place[1] is False}
        strays = [place[0] for place in expected if place[1] is False]
        if strays:
            return f"answered a write of rows of another tenant into {strays}"
        expected |= others
    return "; ".join(
        f"{table} (own: {own}) holds {found.contents.get((table, own))},"
        f" wanted {expected.get((table, own))}"
        for table, own in sorted(expected.keys() | found.contents.keys(), key=repr)
        if expected.get((table, own)) != found.contents.get((table, own))
    )
