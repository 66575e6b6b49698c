"""Tenant keys in conditions and inserts: where in the arguments they are.

Only what is provable counts (sharding rules 4 and 5): `=`, `IN`, `= ANY`, `IS NOT DISTINCT FROM`,
AND and OR of those. Whatever else is met leaves the scope unbounded, never guessed.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from sqlglot import expressions as exp

from router.analysis.query import (
    Both,
    Constant,
    Either,
    Keys,
    Param,
    ParamArray,
    Scope,
    Source,
    Unbounded,
)
from shardmap import KeyType

_TEXT: Final = frozenset({exp.DType.TEXT, exp.DType.VARCHAR})
_CASTS: Final = {
    KeyType.INTEGER: frozenset({exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT}) | _TEXT,
    KeyType.UUID: frozenset({exp.DType.UUID}) | _TEXT,
    KeyType.TEXT: _TEXT,
}
"""Casts that keep a key the same key; any other cast could change it."""

_NUMBERS: Final = re.compile(r"\{(?:-?[0-9]+(?:,-?[0-9]+)*)?\}")

_MOST: Final = 2**64
_MOST_BETWEEN: Final = 64
"""More tenants in a row than that are all that there are."""

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
        case exp.In() if condition.args.get("query") is None and condition.expressions:
            return _any_equal(condition.this, condition.expressions, is_key, key_type)
        case exp.Between() if is_key(condition.this):
            return _between(condition, key_type)
        case _:
            return Unbounded()


def conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts that AND joins."""
    match condition:
        case exp.Paren():
            yield from conjuncts(condition.this)
        case exp.And():
            yield from conjuncts(condition.this)
            yield from conjuncts(condition.expression)
        case _:
            yield condition


def required_keys(condition: exp.Expr | None, is_key: IsKey, key_type: KeyType) -> Iterator[Source]:
    """The keys that a condition names by a top-level `=`: every row must have each of them."""
    match condition:
        case exp.Paren():
            yield from required_keys(condition.this, is_key, key_type)
        case exp.And():
            yield from required_keys(condition.this, is_key, key_type)
            yield from required_keys(condition.expression, is_key, key_type)
        case exp.EQ() | exp.NullSafeEQ() | exp.In() | exp.Between():
            match scope_of(condition, is_key, key_type):
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
        case exp.Neg() | exp.Add() | exp.Sub() | exp.Mul():
            number = _folded_number(value)
            return Constant(number) if number is not None else None
        case _:
            return None


def _folded_number(value: exp.Expr) -> int | None:
    """The integer that a constant expression is; None: it is none, or too large to be a key."""
    match value:
        case exp.Paren():
            return _folded_number(value.this)
        case exp.Literal() if not value.is_string and str(value.this).isdecimal():
            return int(value.this)
        case exp.Neg():
            inner = _folded_number(value.this)
            return -inner if inner is not None else None
        case exp.Add() | exp.Sub() | exp.Mul():
            left, right = _folded_number(value.this), _folded_number(value.expression)
            if left is None or right is None or max(abs(left), abs(right)) > _MOST:
                return None
            if isinstance(value, exp.Mul):
                return left * right
            return left + right if isinstance(value, exp.Add) else left - right
        case _:
            return None


def _any_equal(left: exp.Expr, values: list[exp.Expr], is_key: IsKey, key_type: KeyType) -> Scope:
    """`key IN (…)` and `(key, a) IN ((…), …)`."""
    sources: list[Source] = []
    for value in values:
        match _equal(left, value, is_key, key_type):
            case Keys(found):
                sources += found
            case _:
                return Unbounded()
    return Keys(tuple(sources))


def _equal(left: exp.Expr, right: exp.Expr, is_key: IsKey, key_type: KeyType) -> Scope:
    """The key's equality with a value, or with its place in a row."""
    if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        if len(left.expressions) != len(right.expressions):
            return Unbounded()
        for one, other in zip(left.expressions, right.expressions, strict=True):
            key, value = (one, other) if is_key(one) else (other, one)
            source = source_of(value, key_type) if is_key(key) else None
            if source is not None:
                return Keys((source,))
        return Unbounded()
    source = source_of(right, key_type) if is_key(left) else None
    return Keys((source,)) if source is not None else Unbounded()


def _between(node: exp.Between, key_type: KeyType) -> Scope:
    if node.args.get("symmetric"):
        return Unbounded()
    low = source_of(node.args["low"], key_type)
    high = source_of(node.args["high"], key_type)
    match low, high:
        case Constant(int() as first), Constant(int() as last) if key_type is KeyType.INTEGER:
            if last - first < _MOST_BETWEEN:
                return Keys(tuple(map(Constant, range(first, last + 1))))
            return Unbounded()
        case ((Constant() | Param()) as only, _) if low == high and only != Constant(None):
            return Keys((only,))
        case _:
            return Unbounded()


def _equality(node: exp.Binary, is_key: IsKey, key_type: KeyType) -> Scope:
    left, right = node.this, node.expression
    if isinstance(left, exp.Tuple):
        return _equal(left, right, is_key, key_type)
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
    if isinstance(inner, exp.Literal) and inner.is_string and key_type is KeyType.INTEGER:
        return _array_text(str(inner.this))
    if isinstance(inner, exp.Parameter):
        param = _param(inner)
        return Unbounded() if param is None else Keys((ParamArray(param.index),))
    if isinstance(inner, exp.Array):
        sources = [source_of(item, key_type) for item in inner.expressions]
        if sources and all(source is not None for source in sources):
            return Keys(tuple(source for source in sources if source is not None))
    return Unbounded()


def _array_text(text: str) -> Scope:
    """The keys of an array of numbers written as one string."""
    if _NUMBERS.fullmatch(text) is None:
        return Unbounded()
    return Keys(tuple(Constant(int(number)) for number in text[1:-1].split(",") if number))


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
