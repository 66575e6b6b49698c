"""Views: where their rows are, and whether each row of one is made of one tenant's rows alone.

A view is placed as its tables are. Over sharded tables it is a sharded table itself when one of its
columns is the tenant column of a table that every other sharded table is joined to by that column:
then the view's rows of a tenant are what the view would give over that tenant's rows alone, and a
predicate on that column keeps out what other tenants have.
"""

from sqlglot import expressions as exp

from router.analysis.builtins import HARMLESS
from router.analysis.calls import calls_of
from router.analysis.functions import AGGREGATES, judge
from router.analysis.key_scopes import KeyScopes
from router.analysis.lineage import Lineage, is_tenant
from router.analysis.parse import parse
from router.analysis.scopes import regions, table_uses
from router.analysis.tables import Located, Placements, locate
from router.errors import RouterError
from router.schema import Schema, Table
from shardmap import KeyType, Placement, Reference, Sharded, TableName

MOST_NESTED = 8
"""Views over views that are followed."""


def view_placement(
    table: Table, schema: Schema, placements: Placements, nested: int = 0
) -> Placement | None:
    """The placement that the definition of a view proves; None: it proves none."""
    if table.definition is None or nested > MOST_NESTED:
        return None
    try:
        parsed = parse(table.definition)
        tables = locate(
            table_uses(parsed, regions(parsed)),
            schema,
            lambda name: _placement(name, schema, placements, nested),
        )
        functions = judge(calls_of(parsed), schema.functions, schema.exposed)
    except RouterError:
        return None  # what is not understood proves nothing
    if functions.volatile or functions.opaque is not None or not tables:
        return None
    sharded = tuple(each for each in tables if each.tenant_column is not None)
    if not sharded:
        kinds = {type(each.placement) for each in tables}
        return tables[0].placement if len(kinds) == 1 else None
    if any(not isinstance(each.placement, Sharded | Reference) for each in tables):
        return None
    index = _tenant_output(parsed.tree, tables)
    names = tuple(table.columns)
    return Sharded(names[index]) if index is not None and index < len(names) else None


def _placement(
    name: TableName, schema: Schema, placements: Placements, nested: int
) -> Placement | None:
    """Where a table of a definition is; of a view, what its own definition proves."""
    table = schema.table(name)
    if table is not None and table.definition is not None:
        return view_placement(table, schema, placements, nested + 1)
    return placements(name)


def _tenant_output(query: exp.Expr, tables: tuple[Located, ...]) -> int | None:
    """The number of the output that is the tenant column of all sharded tables; None: there is none."""
    match query:
        case exp.Subquery():
            return _tenant_output(query.this, tables)
        case exp.SetOperation() if not query.args.get("with_") and not _cut(query):
            left, right = query.this, query.expression
            index = _tenant_output(left, tables)
            return index if index is not None and index == _tenant_output(right, tables) else None
        case exp.Select() if not query.args.get("with_") and not _cut(query):
            return _of_select(query, tables)
        case _:
            return None


def _cut(query: exp.Expr) -> bool:
    """Whether rows of one tenant decide which rows of others are left."""
    return any(query.args.get(part) for part in ("limit", "offset", "locks"))


def _of_select(select: exp.Select, tables: tuple[Located, ...]) -> int | None:
    inside = tuple(each for each in tables if _is_in(each.use.node, select))
    lineage = Lineage(inside, scoped=False)
    outputs = lineage.outputs(select)
    if outputs is None or select.find(exp.Window) is not None or _is_distinct_on(select):
        return None
    scopes = KeyScopes(inside, lineage, KeyType.TEXT)
    for index, output in enumerate(outputs):
        origin = output.origin
        if origin is None or not is_tenant(origin):
            continue
        anchor = origin.located
        if anchor.use.node.find_ancestor(exp.Select) is not select or not anchor.use.inner:
            continue
        sharded = [each for each in inside if each.tenant_column is not None]
        if all(scopes.binds(anchor, each) for each in sharded) and _is_grouped(
            select, lineage, anchor, scopes
        ):
            return index
    return None


def _is_grouped(select: exp.Select, lineage: Lineage, anchor: Located, scopes: KeyScopes) -> bool:
    """Whether no group holds rows of several tenants: there is none, or the key is part of it."""
    group = select.args.get("group")
    if group is None:
        return select.args.get("having") is None and not any(
            _aggregates(node) and node.find_ancestor(exp.Select) is select
            for node in select.find_all(exp.Func)
        )
    for item in group.expressions:
        expression = item
        if isinstance(item, exp.Literal) and not item.is_string and str(item.this).isdecimal():
            number = int(item.this) - 1
            if not 0 <= number < len(select.expressions):
                return False
            expression = select.expressions[number]
        origin = lineage.origin(expression, select)
        if origin is not None and is_tenant(origin) and scopes.binds(anchor, origin.located):
            return True
    return False


def _aggregates(node: exp.Func) -> bool:
    """Whether a function is one of many rows, or may be."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return node.name.lower() in AGGREGATES or node.name.lower() not in HARMLESS
    return isinstance(node, exp.AggFunc)


def _is_distinct_on(select: exp.Select) -> bool:
    distinct = select.args.get("distinct")
    return distinct is not None and distinct.args.get("on") is not None


def _is_in(node: exp.Expr, ancestor: exp.Expr) -> bool:
    at: exp.Expr | None = node
    while at is not None:
        if at is ancestor:
            return True
        at = at.parent
    return False
