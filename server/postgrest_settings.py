"""The settings of what PostgREST has besides: its own mount, its admin port, its channel."""

from dataclasses import dataclass

from server.configuration.declaration import setting
from server.configuration.forms import BOOLEAN, LIST, OPTIONAL_ADDRESS, TEXT, ListenAddress


@dataclass(frozen=True, slots=True)
class PostgrestSettings:
    """Serving in the place of a PostgREST."""

    standalone: bool = setting(
        "FLUXSHARD_STANDALONE",
        BOOLEAN,
        "false",
        "serve one database as it is: nothing of Fluxshard's is made in it, its roles are whatever "
        "the login role may become, and /rest/v1 is at / and nothing else; so with PGRST_DB_URI",
    )
    extra_search_path: tuple[str, ...] = setting(
        "FLUXSHARD_EXTRA_SEARCH_PATH",
        LIST,
        "",
        "schemas behind the exposed ones where their objects look names up (extensions, say)",
    )
    admin_address: ListenAddress | None = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXSHARD_ADMIN_ADDRESS",
        OPTIONAL_ADDRESS,
        None,
        "where /live, /ready, /metrics, /config and /schema_cache are, apart from the API",
    )
    channel: str = setting(
        "FLUXSHARD_RELOAD_CHANNEL",
        TEXT,
        "pgrst",
        "NOTIFY on it with 'reload schema' or 'reload config', in any database, is heard",
    )
    channel_enabled: bool = setting(
        "FLUXSHARD_RELOAD_CHANNEL_ENABLED", BOOLEAN, "true", "whether it is listened to"
    )
    server_timing: bool = setting(
        "FLUXSHARD_SERVER_TIMING",
        BOOLEAN,
        "false",
        "adds Server-Timing to responses: what the token took, and the rest",
    )
    trace_header: str = setting(
        "FLUXSHARD_TRACE_HEADER",
        TEXT,
        "",
        "a request header that is sent back as it came",
    )
    config_in_database: bool = setting(
        "FLUXSHARD_CONFIG_IN_DATABASE",
        BOOLEAN,
        "true",
        "with PGRST_DB_URI: whether `pgrst.…` settings of the login role count, over all others",
    )
    pre_config: str = setting(
        "FLUXSHARD_PRE_CONFIG",
        TEXT,
        "",
        "with PGRST_DB_URI: a function of the database that sets such settings",
    )
