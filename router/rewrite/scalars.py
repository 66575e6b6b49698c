"""Which functions certainly give one value for one row: PostgreSQL's own, aggregates and such taken out.

A function that is not certainly one of these may be somebody's aggregate, so a statement that calls
it is never taken apart.
"""

from collections.abc import Iterable
from typing import Final

from router.analysis.builtins import HARMLESS
from router.analysis.calls import Call, calls_of
from router.analysis.parse import Parsed
from router.analysis.tables import Located

AGGREGATES: Final = frozenset(
    """
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
    cume_dist dense_rank every json_agg json_agg_strict json_arrayagg json_object_agg
    json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict json_objectagg
    jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
    jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont percentile_disc
    range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop
    var_samp variance xmlagg
    """.split()
)
"""PostgreSQL's aggregates, `pg_proc.prokind` a, of versions 15 to 18."""

_WINDOWS: Final = frozenset(
    "first_value grouping lag last_value lead nth_value ntile row_number".split()
)

ROWS_MAKING: Final = frozenset(
    """
    aclexplode generate_series generate_subscripts json_array_elements json_array_elements_text
    json_each json_each_text json_object_keys json_populate_recordset json_table json_to_recordset
    jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
    jsonb_path_query jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset regexp_matches
    regexp_split_to_table string_to_table ts_debug ts_parse ts_stat ts_token_type
    txid_snapshot_xip unnest xmltable
    """.split()
)
"""Functions that give no row, one or many."""

SCALARS: Final = HARMLESS - AGGREGATES - _WINDOWS - ROWS_MAKING


def uncertain(
    parsed: Parsed, tables: Iterable[Located], allowed: frozenset[str] = frozenset()
) -> str | None:
    """A function that may be something else than one of a single row; None: there is none."""
    columns = {
        name for located in tables if located.table is not None for name in located.table.columns
    }
    calls = sorted(calls_of(parsed), key=lambda call: (call.name, call.schema or ""))
    return next((call.name for call in calls if not _is_certain(call, columns, allowed)), None)


def _is_certain(call: Call, columns: set[str], allowed: frozenset[str]) -> bool:
    if call.attribute:  # `o.count` is `count(o)` where o has no such column
        return call.name in columns or call.name not in AGGREGATES | _WINDOWS | ROWS_MAKING
    if call.syntax:
        return True
    return call.schema in {None, "pg_catalog"} and call.name in SCALARS | allowed
