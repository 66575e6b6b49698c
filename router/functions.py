"""What is known of functions without asking the database: harmless, volatile, or forbidden.

Unknown functions are volatile: a statement that calls one goes to the primary, as a write. The
forbidden ones could step outside the session, the tenant or the database.
"""

from typing import Final

from sqlglot import expressions as exp

STRUCTURE: Final = (
    exp.And,
    exp.Or,
    exp.Xor,
    exp.Case,
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

HARMLESS: Final = frozenset(
    """
    abs array_agg array_append array_cat array_length array_lower array_position array_positions
    array_prepend array_remove array_replace array_to_json array_to_string array_upper ascii avg
    bit_and bit_length bit_or bit_xor bool_and bool_or btrim cardinality cbrt ceil ceiling char_length
    character_length chr coalesce concat concat_ws corr cos count cume_dist current_date
    current_time current_timestamp date_part date_trunc degrees dense_rank div encode decode every
    exp extract first_value floor format generate_series generate_subscripts greatest initcap
    isfinite json_agg json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_agg json_object_keys json_populate_record
    json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof
    jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
    jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text
    jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match
    jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_populate_record
    jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_to_record
    jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lag last_value
    lead least left length ln localtime localtimestamp log log10 lower lower_inc lower_inf lpad
    ltrim make_date make_interval make_time make_timestamp make_timestamptz max md5 min mod mode
    now nth_value ntile nullif numnode octet_length overlay percent_rank percentile_cont
    percentile_disc phraseto_tsquery pi plainto_tsquery position power radians range_merge rank
    regexp_count regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr repeat replace reverse right round row_number
    row_to_json rpad rtrim sha224 sha256 sha384 sha512 sign sin split_part sqrt starts_with
    stddev stddev_pop stddev_samp string_agg string_to_array strip strpos substr substring sum tan
    to_char to_date to_hex to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector
    transaction_timestamp translate trim trunc ts_headline ts_rank ts_rank_cd unnest upper
    upper_inc upper_inf var_pop var_samp variance websearch_to_tsquery width_bucket age any_value
    array_ndims array_dims array_fill isempty justify querytree ts_delete setweight
    """.split()
)
"""Immutable and stable functions and aggregates of PostgreSQL (`pg_proc.provolatile` i and s)."""

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
    set_config current_setting pg_sleep pg_sleep_for pg_sleep_until pg_terminate_backend
    pg_cancel_backend pg_reload_conf pg_rotate_logfile pg_read_file pg_read_binary_file pg_ls_dir
    pg_stat_file pg_switch_wal pg_promote pg_logical_emit_message pg_notify query_to_xml
    query_to_xmlschema query_to_xml_and_xmlschema table_to_xml schema_to_xml database_to_xml
    cursor_to_xml ts_stat currtid2 txid_current pg_current_xact_id
    """.split()
)

FORBIDDEN_PREFIXES: Final = (
    "pg_advisory",
    "pg_try_advisory",
    "dblink",
    "lo_",
    "lowrite",
    "loread",
    "pg_create_",
    "pg_drop_",
    "pg_replication_",
    "pg_wal_",
    "pg_logical_",
    "pg_backup_",
    "pg_export_",
    "postgres_fdw",
)


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
    return name in FORBIDDEN or name.startswith(FORBIDDEN_PREFIXES)
