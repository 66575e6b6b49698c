"""What SET assigns: in an UPDATE, in DO UPDATE of an upsert, and in MERGE."""

from collections.abc import Iterable, Iterator

from sqlglot import expressions as exp

from router.analysis.query import Source
from router.analysis.scopes import folded
from router.analysis.tenant_keys import source_of
from router.errors import TenantKeyChanged, UnsupportedAcrossShards
from shardmap import KeyType


def assigned(assignments: Iterable[exp.Expr]) -> Iterator[tuple[str, exp.Expr | None]]:
    """Each column with its new value; None: its value is a part of something, or not known.

    Raises:
        UnsupportedAcrossShards: An assignment is in a form that is not understood.
    """
    for assignment in assignments:
        if not isinstance(assignment, exp.EQ):
            raise UnsupportedAcrossShards("an assignment that is not understood")
        target, value = assignment.this, assignment.expression
        if isinstance(target, exp.Tuple):
            yield from _several(target.expressions, value)
        else:
            yield _one(target, value)


def changed_keys(
    assignments: Iterable[exp.Expr], column: str, key_type: KeyType
) -> Iterator[Source]:
    """The sources of the values that are assigned to the tenant column.

    Raises:
        UnsupportedAcrossShards: An assignment is in a form that is not understood.
        TenantKeyChanged: It assigns what cannot be known before PostgreSQL runs.
    """
    for name, value in assigned(assignments):
        if name == column:
            source = source_of(value, key_type) if value is not None else None
            if source is None:
                raise TenantKeyChanged("an update cannot change a row's tenant key")
            yield source


def _one(target: exp.Expr, value: exp.Expr | None) -> tuple[str, exp.Expr | None]:
    """`a.b = 1` and `a[1] = 1` assign a part of the column a."""
    whole = True
    while isinstance(target, exp.Bracket | exp.Dot | exp.Paren):
        target, whole = target.this, False
    if not isinstance(target, exp.Column):
        raise UnsupportedAcrossShards("an assignment that is not understood")
    first = target.parts[0]
    return folded(first), value if whole and len(target.parts) == 1 else None


def _several(targets: list[exp.Expr], value: exp.Expr) -> Iterator[tuple[str, exp.Expr | None]]:
    """`(a, b) = (1, 2)`, also with ROW; a sub-select gives values that are not known."""
    values: list[exp.Expr] = []
    is_row = isinstance(value, exp.Anonymous) and value.name.upper() == "ROW"
    if isinstance(value, exp.Tuple) or is_row:
        values = value.expressions
    for index, target in enumerate(targets):
        yield _one(target, values[index] if len(values) == len(targets) else None)
