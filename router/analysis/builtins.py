"""PostgreSQL's own functions and words, as `pg_proc` and `pg_get_keywords()` of version 15 list them.

What version 16 to 18 added is in it. Left out: functions that only operators, indexes and types
call, and those that tell of the server, of other sessions, or run text as SQL.
"""

from typing import Final

HARMLESS: Final = frozenset(
    """
    abbrev abs acos acosd acosh age any_value area array_agg array_append array_cat array_dims
    array_fill array_length array_lower array_ndims array_position array_positions array_prepend
    array_remove array_replace array_reverse array_sort array_to_json array_to_string
    array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh avg bit
    bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or bound_box box bpchar
    broadcast btrim cardinality casefold cbrt ceil ceiling center char char_length
    character_length chr cidr circle col_description concat concat_ws convert convert_from
    convert_to corr cos cosd cosh cot cotd count covar_pop covar_samp crc32 crc32c cume_dist
    current_database current_schema current_schemas current_user date date_add date_bin
    date_part date_subtract date_trunc datemultirange daterange daterange_canonical decode
    degrees dense_rank diagonal diameter div encode enum_first enum_last enum_range erf erfc
    every exp extract factorial family first_value float4 float8 floor format format_type gamma
    gcd generate_series generate_subscripts get_bit get_byte get_current_ts_config
    getdatabaseencoding grouping hashtext hashtextextended height host hostmask inet_merge
    inet_same_family initcap int2 int4 int4multirange int4range int4range_canonical int8
    int8multirange int8range int8range_canonical interval is_normalized isclosed isempty
    isfinite ishorizontal isopen isparallel isperp isvertical json_agg json_array
    json_array_elements json_array_elements_text json_array_length json_array_strict
    json_arrayagg json_build_array json_build_object json_each json_each_text json_exists
    json_extract_path json_extract_path_text json_object json_object_agg json_object_keys
    json_objectagg json_populate_record json_populate_recordset json_query json_scalar
    json_serialize json_strip_nulls json_table json_to_record json_to_recordset json_to_tsvector
    json_typeof json_value jsonb_agg jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text
    jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match
    jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz
    jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record
    jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof justify_days justify_hours
    justify_interval lag last_value lcm lead left length lgamma like like_escape line ln log
    log10 lower lower_inc lower_inf lpad lseg ltrim macaddr macaddr8 macaddr8_set7bit make_date
    make_interval make_time make_timestamp make_timestamptz masklen max md5 merge_action min min_scale mod
    mode money multirange name netmask network normalize notlike now npoints nth_value ntile
    num_nonnulls num_nulls numeric nummultirange numnode numrange obj_description octet_length
    oid overlaps overlay parse_ident path pclose percent_rank percentile_cont percentile_disc
    pg_collation_for pg_column_compression pg_column_size pg_get_serial_sequence
    pg_input_error_info pg_input_is_valid pg_lsn pg_size_bytes pg_size_pretty pg_typeof
    pg_wal_lsn_diff phraseto_tsquery pi plainto_tsquery point polygon popen position pow power
    querytree quote_ident quote_literal quote_nullable radians radius range_agg
    range_intersect_agg range_merge rank regclass regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
    regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
    regr_sxy regr_syy repeat replace reverse right round row_number row_to_json rpad rtrim scale
    session_user set_bit set_byte set_masklen setweight sha224 sha256 sha384 sha512
    shobj_description sign similar_escape similar_to_escape sin sind sinh slope split_part sqrt
    starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg string_to_array
    string_to_table strip strpos substr substring sum system_user tan tand tanh text textcat
    textlike time timestamp timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex
    to_json to_jsonb to_number to_oct to_regclass to_regcollation to_regnamespace to_regoper
    to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_timestamp to_tsquery
    to_tsvector transaction_timestamp translate trim trim_array trim_scale trunc ts_debug
    ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd ts_token_type
    tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array
    unicode_assigned unicode_version unistr unnest upper upper_inc upper_inf
    uuid_extract_timestamp uuid_extract_version var_pop var_samp varbit varchar variance version
    websearch_to_tsquery width width_bucket xid xml xml_is_well_formed
    xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlcomment xmlconcat
    xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize xmltext xmlvalidate xpath
    xpath_exists
    """.split()
)
"""Immutable and stable in all their forms: they change nothing and read no rows."""

VOLATILE: Final = frozenset(
    """
    array_sample array_shuffle clock_timestamp current_query currval gen_random_uuid lastval
    nextval pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn
    pg_database_size pg_indexes_size pg_is_in_recovery pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_relation_size pg_table_size
    pg_total_relation_size random random_normal setval timeofday uuidv4 uuidv7
    """.split()
)
"""Volatile, and known nevertheless."""

RESERVED: Final = frozenset(
    """
    all analyse analyze and any array as asc asymmetric between bigint bit boolean both case
    cast char character check coalesce collate column constraint create current_catalog
    current_date current_role current_time current_timestamp current_user dec decimal default
    deferrable desc distinct do else end except exists extract false fetch float for foreign
    from grant greatest group grouping having in initially inout int integer intersect interval
    into lateral leading least limit localtime localtimestamp national nchar none normalize not
    null nullif numeric offset on only or order out overlay placing position precision primary
    real references returning row select session_user setof smallint some substring symmetric
    table then time timestamp to trailing treat trim true union unique user using values varchar
    variadic when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest
    xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()
)
"""Words that name no function unless quoted or qualified (`catcode` R and C)."""

GRAMMAR: Final = frozenset(
    """
    json_array json_arrayagg json_exists json_objectagg json_query json_scalar json_serialize
    json_table json_value merge_action
    """.split()
)
"""Syntax of later versions, which `pg_proc` does not list: harmless."""
