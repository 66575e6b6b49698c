"""Tenant keys in conditions and inserts: where in the arguments they are.

Only what is provable counts (sharding rules 4 and 5): `=`, `IN`, `= ANY`, `IS NOT DISTINCT FROM`,
AND and OR of those. Whatever else is met leaves the scope unbounded, never guessed.
"""

from collections.abc import Callable, Iterator
from typing import Final

from sqlglot import expressions as exp

from router.query import Both, Constant, Either, Keys, Param, ParamArray, Scope, Source, Unbounded
from shardmap import KeyType

_TEXT: Final = frozenset({exp.DType.TEXT, exp.DType.VARCHAR})
_CASTS: Final = {
    KeyType.INTEGER: frozenset({exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT}) | _TEXT,
    KeyType.UUID: frozenset({exp.DType.UUID}) | _TEXT,
    KeyType.TEXT: _TEXT,
}
"""Casts that keep a key the same key; any other cast could change it."""

IsKey = Callable[[exp.Expr], bool]
"""Says whether an expression is the tenant column of the table in question."""


def scope_of(condition: exp.Expr | None, is_key: IsKey, key_type: KeyType) -> Scope:
    """Which tenants a condition can be true for."""
    match condition:
        case None:
            return Unbounded()
        case exp.Paren():
            return scope_of(condition.this, is_key, key_type)
        case exp.And():
            return _both(
                scope_of(condition.this, is_key, key_type),
                scope_of(condition.expression, is_key, key_type),
            )
        case exp.Or():
            return _either(
                scope_of(condition.this, is_key, key_type),
                scope_of(condition.expression, is_key, key_type),
            )
        case exp.EQ() | exp.NullSafeEQ():
            return _equality(condition, is_key, key_type)
        case exp.In() if is_key(condition.this) and condition.args.get("query") is None:
            sources = [source_of(item, key_type) for item in condition.expressions]
            if any(source is None for source in sources) or not sources:
                return Unbounded()
            return Keys(tuple(source for source in sources if source is not None))
        case _:
            return Unbounded()


def required_keys(condition: exp.Expr | None, is_key: IsKey, key_type: KeyType) -> Iterator[Source]:
    """The keys that a condition names by a top-level `=`: every row must have each of them."""
    match condition:
        case exp.Paren():
            yield from required_keys(condition.this, is_key, key_type)
        case exp.And():
            yield from required_keys(condition.this, is_key, key_type)
            yield from required_keys(condition.expression, is_key, key_type)
        case exp.EQ() | exp.NullSafeEQ():
            match _equality(condition, is_key, key_type):
                case Keys((Param() | Constant() as source,)):
                    yield source
                case _:
                    return
        case _:
            return


def source_of(value: exp.Expr, key_type: KeyType) -> Source | None:
    """Where a key's value comes from, or None when it cannot be known before PostgreSQL runs."""
    value = _uncast(value, key_type)
    match value:
        case exp.Parameter():
            return _param(value)
        case exp.Null():
            return Constant(None)
        case exp.Literal():
            if value.is_string:
                return Constant(str(value.this))
            return Constant(int(value.this)) if str(value.this).isdecimal() else None
        case exp.Neg(this=exp.Literal() as number) if not number.is_string:
            return Constant(-int(number.this)) if str(number.this).isdecimal() else None
        case _:
            return None


def _equality(node: exp.Binary, is_key: IsKey, key_type: KeyType) -> Scope:
    left, right = node.this, node.expression
    if is_key(left):
        value = right
    elif is_key(right):
        value = left
    else:
        return Unbounded()
    if isinstance(value, exp.Any):
        return _any_of(value, key_type)
    source = source_of(value, key_type)
    return Unbounded() if source is None else Keys((source,))


def _any_of(node: exp.Any, key_type: KeyType) -> Scope:
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    while isinstance(inner, exp.Cast):
        kind = inner.to
        if kind.this is not exp.DType.ARRAY or len(kind.expressions) != 1:
            return Unbounded()
        if kind.expressions[0].this not in _CASTS[key_type]:
            return Unbounded()
        inner = inner.this
    if isinstance(inner, exp.Parameter):
        param = _param(inner)
        return Unbounded() if param is None else Keys((ParamArray(param.index),))
    if isinstance(inner, exp.Array):
        sources = [source_of(item, key_type) for item in inner.expressions]
        if sources and all(source is not None for source in sources):
            return Keys(tuple(source for source in sources if source is not None))
    return Unbounded()


def _param(node: exp.Parameter) -> Param | None:
    number = node.this
    if isinstance(number, exp.Literal) and str(number.this).isdecimal() and int(number.this) > 0:
        return Param(int(number.this) - 1)
    return None


def _uncast(value: exp.Expr, key_type: KeyType) -> exp.Expr:
    while True:
        if isinstance(value, exp.Paren) or (
            type(value) is exp.Cast
            and value.to.this in _CASTS[key_type]
            and not value.to.expressions  # varchar(3) cuts its value
        ):
            value = value.this
        else:
            return value


def _both(left: Scope, right: Scope) -> Scope:
    if isinstance(left, Unbounded):
        return right
    if isinstance(right, Unbounded):
        return left
    return Both((left, right))


def _either(left: Scope, right: Scope) -> Scope:
    if isinstance(left, Unbounded) or isinstance(right, Unbounded):
        return Unbounded()
    return Either((left, right))
