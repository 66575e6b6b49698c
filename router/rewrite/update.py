"""The tenant key of an update: the values that it would give it."""

from collections.abc import Iterator

from sqlglot import expressions as exp

from router.errors import TenantKeyChanged, UnsupportedAcrossShards
from router.query import Source
from router.scopes import folded
from router.tenant_keys import source_of
from shardmap import KeyType


def changed_keys(target: exp.Table, column: str, key_type: KeyType) -> Iterator[Source]:
    """The sources of the values that the update of this table assigns to the tenant column.

    Raises:
        UnsupportedAcrossShards: The update assigns in a form that is not understood.
        TenantKeyChanged: It assigns what cannot be known before PostgreSQL runs.
    """
    update = target.parent
    if not isinstance(update, exp.Update):
        raise AssertionError("asked only of the target of an update")  # noqa: TRY004 - a defect of ours
    for assignment in update.expressions:
        if not isinstance(assignment, exp.EQ) or not isinstance(assignment.this, exp.Column):
            raise UnsupportedAcrossShards("an update that assigns several columns at once")
        if folded(assignment.this.this) == column:
            source = source_of(assignment.expression, key_type)
            if source is None:
                raise TenantKeyChanged("an update cannot change a row's tenant key")
            yield source
