"""Settings of a PostgREST that its database holds: those of the login role, and of a function.

Names are `pgrst.jwt_secret` and so on; of several values the one for this database counts, then
the role's, then what the function `PGRST_DB_PRE_CONFIG` has set.
"""

import re
from collections.abc import Mapping
from typing import Final

from server.catalog import Session, catalog_session
from server.configuration.postgrest_names import environment_name
from server.settings import Settings
from server.standalone import standalone_map
from shardmap import CredentialsUnavailable, MapUnavailable

NAMES: Final = tuple(
    f"pgrst.{name}"
    for name in """
    db_aggregates_enabled db_anon_role db_extra_search_path db_hoisted_tx_settings db_max_rows
    db_plan_enabled db_pre_config db_pre_request db_prepared_statements db_root_spec db_schemas
    db_tx_end jwt_aud jwt_role_claim_key jwt_secret jwt_secret_is_base64 jwt_cache_max_lifetime
    openapi_mode openapi_security_active openapi_server_proxy_uri server_cors_allowed_origins
    server_trace_header server_timing_enabled client_error_verbosity url_use_legacy_target_names
    """.split()
)
"""What may be set in a database; app.settings.* may, too."""

_OF_THE_ROLE: Final = """
SELECT DISTINCT ON (name) name, value FROM (
    SELECT s.setdatabase, pg_catalog.split_part(one, '=', 1) AS name,
           pg_catalog.substr(one, pg_catalog.strpos(one, '=') + 1) AS value
    FROM pg_catalog.pg_db_role_setting AS s
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS one
    JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole AND r.rolname = CURRENT_USER
    LEFT JOIN pg_catalog.pg_database AS d
        ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database()
    WHERE s.setdatabase = 0 OR d.oid IS NOT NULL
) AS settings
ORDER BY name, setdatabase DESC
"""
_SET_BY_FUNCTION: Final = """
SELECT name, pg_catalog.current_setting(name, true)
FROM pg_catalog.unnest($1::text[]) AS name
"""
_FUNCTION: Final = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?")


async def database_config(settings: Settings) -> Mapping[str, str] | None:
    """PostgREST's names in the environment with what the database says; None: it does not answer.

    Nothing where the settings say that databases are not asked.
    """
    told = settings.postgrest
    if not (told.standalone and told.config_in_database):
        return {}
    endpoint = standalone_map(settings).catalog
    try:
        async with catalog_session((endpoint,), settings.environ, writable=False) as session:
            found = await _of_function(session, told.pre_config)
            found |= dict(map(tuple, await session.fetch(_OF_THE_ROLE)))
    except (MapUnavailable, CredentialsUnavailable):
        return None
    return {
        named: value
        for name, value in found.items()
        if name in NAMES or name.startswith("app.settings.")
        if (named := environment_name(name)) is not None and value
    }


async def _of_function(session: Session, function: str) -> dict[str, str]:
    if not function or not _FUNCTION.fullmatch(function):
        return {}
    async with session.transaction():
        await session.execute(f"SELECT {function}()")
        rows = await session.fetch(_SET_BY_FUNCTION, list(NAMES))
    return {name: value for name, value in rows if value is not None}
