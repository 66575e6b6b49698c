"""Which function a call means, by the names of its arguments, and the table that its rows are like."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from router import Column, Kind, Routine, Schema, Table
from server.rest.errors import SHOWN_CHARS, SIMILAR, RestError
from shardmap import TableName

_FOR_PEOPLE: Final = {
    "bool": "boolean",
    "bpchar": "character",
    "float4": "real",
    "float8": "double precision",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
    "varchar": "character varying",
}
"""Types that PostgreSQL shows by other names than it keeps them under."""


class RoutineUnknown(RestError):
    """No function of that name takes arguments of these names."""

    status = 404
    code = "NOT_FOUND"
    postgrest_code = "PGRST202"

    def __init__(
        self, schema: str, name: str, given: Collection[str], *, body: bool, close: str | None
    ) -> None:
        """`close`: a function that exists, with its arguments, and may have been meant."""
        shown = f"{schema}.{name}"[:SHOWN_CHARS]
        listed = ", ".join(sorted(given))[:SHOWN_CHARS]
        call = f"{shown}({listed})" if given else f"{shown} without parameters"
        searched = (
            f"{shown} with {'parameters' if len(given) > 1 else 'parameter'} {listed}"
            if given
            else f"{shown} without parameters"
        )
        unnamed = " or with a single unnamed json/jsonb parameter" if body else ""
        super().__init__(
            f"Could not find the function {call} in the schema cache",
            details=(
                f"Searched for the function {searched}{unnamed}, but no matches were found in"
                " the schema cache."
            ),
            hint=None if close is None else f"Perhaps you meant to call the function {close}",
        )


class RoutineAmbiguous(RestError):
    """Several functions of that name take arguments of these names."""

    status = 300
    code = "FUNCTION_AMBIGUOUS"
    postgrest_code = "PGRST203"

    def __init__(self, found: Iterable[Routine]) -> None:
        super().__init__(
            "Could not choose the best candidate function between: "
            + ", ".join(_signature(routine) for routine in found),
            hint=(
                "Try renaming the parameters or the function itself in the database so function"
                " overloading can be resolved"
            ),
        )


class RoutineMethodRefused(RestError):
    """A function is called by a method that means nothing for it."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    postgrest_code = "PGRST101"

    def __init__(self, method: str) -> None:
        super().__init__(
            f"Cannot use the {method} method on RPC", headers=(("Allow", "OPTIONS,GET,HEAD,POST"),)
        )


class RoutineVolatile(RestError):
    """A function that may write is called by a method that reads."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    postgrest_code = "25006"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The function {name[:SHOWN_CHARS]} may write: call it with POST",
            hint="Declare it STABLE or IMMUTABLE if it does not.",
        )


class RowsNotCounted(RestError):
    """A function that gives no rows is called with a limit of the rows that it affects."""

    code = "ROWS_NOT_COUNTED"
    postgrest_code = "PGRST128"

    def __init__(self) -> None:
        super().__init__(
            "Function must return SETOF or TABLE when max-affected preference is used with"
            " handling=strict"
        )


def routine_of(
    schema: Schema, namespace: str, name: str, given: Collection[str], *, body: bool
) -> Routine:
    """The one function that may be called with arguments of these names.

    `body`: there is one, which a function with a single unnamed argument takes as a whole.

    Raises:
        RoutineUnknown: There is none.
        RoutineAmbiguous: There are several.
    """
    named = schema.routines.get((namespace, name), ())
    found = [routine for routine in named if fits(routine, given)]
    if not found and body:
        found = [routine for routine in named if takes_body(routine)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RoutineAmbiguous(found)
    raise RoutineUnknown(
        namespace, name, given, body=body, close=_close(schema, namespace, name, named)
    )


def fits(routine: Routine, given: Collection[str]) -> bool:
    """Whether the names are arguments, and leave out only what may be left out.

    Arguments before a variadic one, which is nothing when it is left out, are given by their place.
    """
    names = [argument.name for argument in routine.arguments]
    required = names[:-1] if routine.variadic else names[: len(names) - routine.defaults]
    return "" not in names and set(required) <= set(given) <= set(names)


def takes_body(routine: Routine) -> bool:
    """Whether it has one argument without a name."""
    return len(routine.arguments) == 1 and not routine.arguments[0].name


def rows_table(routine: Routine, schema: Schema) -> Table:
    """The table whose rows it gives, or one like them."""
    table = schema.tables.get(routine.table) if routine.table is not None else None
    if table is not None:
        return table
    columns: Mapping[str, Column] = {
        column.name: Column(
            name=column.name,
            type=column.type,
            not_null=False,
            has_default=False,
            generated=False,
            array=column.category == "A",
            category=column.category,
            mergeable=False,
        )
        for column in routine.columns
    }
    return Table(
        name=TableName(f"{routine.schema}.{routine.name}()"),
        schema=routine.schema,
        relation=routine.name,
        kind=Kind.VIEW,
        columns=columns,
        primary_key=(),
        uniques=(),
        rls=False,
        triggered=False,
        computed_defaults=False,
    )


def _spelled(name: str) -> str:
    """A type as PostgreSQL shows it to people."""
    bare = name.removesuffix("[]")
    return _FOR_PEOPLE.get(bare, bare.replace('"', "")) + name[len(bare) :]


def _close(schema: Schema, namespace: str, name: str, named: Sequence[Routine]) -> str | None:
    if named:
        return _call(named[0])
    names = sorted({each for owner, each in schema.routines if owner == namespace})
    close = difflib.get_close_matches(name[:SHOWN_CHARS], names, 1, SIMILAR)
    return _call(schema.routines[namespace, close[0]][0]) if close else None


def _call(routine: Routine) -> str:
    names = ", ".join(argument.name for argument in routine.arguments)
    return f"{routine.schema}.{routine.name}({names})"


def _signature(routine: Routine) -> str:
    named = ", ".join(f"{each.name} => {_spelled(each.type)}" for each in routine.arguments)
    return f"{routine.schema}.{routine.name}({named})"
