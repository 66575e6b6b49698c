"""What is known of the functions that a statement calls, and who may call them.

The schema says it, as read from `pg_proc`; without a database PostgreSQL's own table does. A name
stands for all functions of that name that the call could mean: the worst of them counts. A
function of which nothing is known is volatile: its statement goes to the primary, as a write. The
forbidden ones could step outside the session, the tenant or the database.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlglot import expressions as exp

from router.analysis.builtins import GRAMMAR, HARMLESS, VOLATILE
from router.analysis.calls import Call
from router.errors import FunctionRefused

CATALOG_SCHEMA: Final = "pg_catalog"
OURS: Final = "fluxshard"


class Function(NamedTuple):
    """All functions of one name in one schema, taken together."""

    schema: str
    name: str
    volatile: bool
    """One of them is VOLATILE."""
    immutable: bool
    """All of them are IMMUTABLE."""
    known: bool
    """All of them do what their declaration says, and nothing to other rows than their arguments:
    PostgreSQL's own, immutable ones in C or of an extension, and those whose owner says so."""
    of_row: bool = True
    """One of them takes a row, so that `t.f` can mean `f(t)`."""


Functions = Mapping[tuple[str, str], Function]
"""By schema and name."""

BUILT_IN: Final[Functions] = (
    {
        (CATALOG_SCHEMA, name): Function(
            CATALOG_SCHEMA, name, volatile=name in VOLATILE, immutable=False, known=True
        )
        for name in HARMLESS | VOLATILE
    }
    | {
        (OURS, name): Function(OURS, name, volatile=True, immutable=False, known=True)
        for name in ("next_id", "next_js_id")
    }
    | {(OURS, "away"): Function(OURS, "away", volatile=False, immutable=False, known=True)}
)
"""What is there without a database to ask."""

STRUCTURE: Final = (
    exp.And,
    exp.Or,
    exp.Xor,
    exp.Case,
    exp.Collate,
    exp.Cast,
    exp.TryCast,
    exp.Exists,
    exp.Unnest,
    exp.Array,
    exp.If,
    exp.All,
    exp.ArrayContainsAll,
    exp.ArrayContainedBy,
    exp.ArrayOverlaps,
    exp.MatchAgainst,
    exp.JSONExtract,
    exp.JSONExtractScalar,
    exp.JSONBExtract,
    exp.JSONBExtractScalar,
    exp.JSONBContainsTopKey,
    exp.JSONBContainsAnyTopKeys,
    exp.JSONBContainsAllTopKeys,
    exp.JSONBPathExists,
    exp.RegexpLike,
    exp.RegexpILike,
)
"""Syntax that sqlglot models as functions: CASE, ALL, `@> <@ && @@ -> ->> #> #>> ? ~ ~*` …"""

AGGREGATES: Final = frozenset(
    """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
    cume_dist dense_rank every json_agg json_agg_strict json_object_agg json_objectagg json_arrayagg
    jsonb_agg jsonb_object_agg logical_and logical_or max min mode percent_rank percentile_cont
    percentile_disc range_agg range_intersect_agg range_merge rank regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp
    string_agg group_concat sum var_pop var_samp variance variance_pop xmlagg
    """.split()
)
"""Functions of many rows, by PostgreSQL's names and the parser's."""

ROWS_MAKING: Final = frozenset(
    """
    generate_series generate_subscripts exploding_generate_series json_array_elements
    json_array_elements_text json_each json_each_text json_object_keys json_populate_recordset
    json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text
    jsonb_object_keys jsonb_path_query jsonb_populate_recordset jsonb_to_recordset regexp_matches
    regexp_split_to_table string_to_table ts_parse ts_stat ts_token_type unnest explode
    """.split()
)
"""Functions that give no row, one or many."""

FORBIDDEN: Final = frozenset(
    """
    currtid2 currval lastval loread lowrite pg_current_logfile pg_current_xact_id pg_export_snapshot
    pg_extension_config_dump pg_get_multixact_members pg_hba_file_rules pg_ident_file_mappings
    pg_nextoid pg_notify pg_promote pg_reload_conf pg_sleep pg_sleep_for pg_sleep_until
    pg_stat_file pg_show_all_file_settings set_config current_setting setseed ts_rewrite ts_stat
    txid_current
    """.split()
)
"""Besides those of the patterns below: what one session leaves for the next on its connection, and
what runs SQL that it is given as text."""

_FORBIDDEN_KINDS: Final = re.compile(
    r"pg_(?:try_)?advisory_|pg_(?:backup|copy|create|drop|import|log|logical|ls|read|replication"
    r"|rotate|stat_clear|stat_force|stat_reset|start|stop|switch|terminate|cancel|wal_replay)_"
    r"|pg_rotate_logfile|pg_switch_wal|pg_read_file|dblink|postgres_fdw"
    r"|lo_(?:close|creat|create|export|from_bytea|get|import|lseek|lseek64|open|put|tell|tell64"
    r"|truncate|truncate64|unlink)$"
    r"|binary_upgrade_|(?:query|cursor|table|schema|database)_to_xml"
)

_FOR_TENANTS: Final = HARMLESS | frozenset(
    """
    array_sample array_shuffle clock_timestamp gen_random_uuid nextval random random_normal
    timeofday uuidv4 uuidv7
    """.split()
)
"""PostgreSQL's own that a tenant may call: they tell nothing of the server or of other sessions."""

SAFE_MARK: Final = "fluxshard.tenant_safe"
"""`ALTER FUNCTION f SET fluxshard.tenant_safe = on`: the owner says that it keeps to its arguments
and to the rows that its caller may see."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the functions of one statement mean for it."""

    volatile: bool
    """One of them is, or may be."""
    foreign: bool
    """One of them is not PostgreSQL's own: it may read the claims."""
    opaque: str | None
    """One whose body may read or write rows that the statement does not name. Without a database
    nobody can say: an application's functions are then taken at their word."""
    refused: str | None
    """One that tenants may not call."""
    local: str | None = None
    """An application's own, that is not IMMUTABLE: what it gives depends on the shard it runs on."""


def judge(calls: Iterable[Call], functions: Functions, schemas: tuple[str, ...]) -> Judgement:
    """What the called functions do together. `schemas` are those that bare names mean, in order.

    Raises:
        FunctionRefused: Nobody may call one of them.
    """
    volatile = foreign = False
    opaque = refused = local = None
    for call in sorted(calls, key=lambda call: (call.name, call.schema or "")):
        found = _meant(call, functions, schemas)
        if not found and (call.syntax or call.attribute):
            if call.attribute and forbidden(call.name):
                raise FunctionRefused(f"the function {call.name} may not be called")
            continue
        if forbidden(call.name):
            raise FunctionRefused(f"the function {call.name} may not be called")
        volatile = volatile or not found or any(each.volatile for each in found)
        foreign = foreign or not found or any(each.schema != CATALOG_SCHEMA for each in found)
        read = functions is not BUILT_IN
        if (not found and read) or not all(each.known for each in found):
            opaque = opaque or call.name
        if not found or not all(map(_for_tenants, found)):
            refused = refused or call.name
        if not all(each.immutable or each.schema in {CATALOG_SCHEMA, OURS} for each in found):
            local = local or call.name
    return Judgement(volatile, foreign, opaque, refused, local)


def _meant(call: Call, functions: Functions, schemas: tuple[str, ...]) -> tuple[Function, ...]:
    """The functions that a call can mean: PostgreSQL chooses among them by the arguments."""
    if call.schema is not None:
        function = functions.get((call.schema, call.name))
        return (function,) if function is not None else ()
    where = schemas if call.syntax else (CATALOG_SCHEMA, *schemas)
    listed = (functions.get((schema, call.name)) for schema in where)
    found = tuple(
        function
        for function in listed
        if function is not None and (function.of_row or not call.of_row)
    )
    if not found and call.name in GRAMMAR and not call.attribute:
        return (BUILT_IN[CATALOG_SCHEMA, call.name],)
    return found


def _for_tenants(function: Function) -> bool:
    if function.schema == CATALOG_SCHEMA:
        return function.name in _FOR_TENANTS or function.immutable
    return function.known


def functions_of(tree: exp.Expr) -> frozenset[str]:
    """The names, in lower case and without schema, of all functions that a statement calls."""
    names = set()
    for node in tree.find_all(exp.Func):
        if isinstance(node, STRUCTURE) or _is_all(node):
            continue
        name = node.name if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) else ""
        names.add((name or node.sql_name()).lower())
    return frozenset(names)


def _is_all(node: exp.Expr) -> bool:
    """`> ALL (…)`: a reserved word, so no function's name unless quoted or qualified."""
    return (
        isinstance(node, exp.Anonymous)
        and isinstance(node.this, str)
        and node.this.upper() == "ALL"
        and not isinstance(node.parent, exp.Dot)
    )


def forbidden(name: str) -> bool:
    """Whether no statement of a client may call this function."""
    return name in FORBIDDEN or _FORBIDDEN_KINDS.match(name) is not None
