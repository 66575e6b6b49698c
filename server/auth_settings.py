"""The settings about tokens: which are believed, what they say of role and tenant."""

from dataclasses import dataclass

from server.configuration.declaration import setting
from server.configuration.forms import BOOLEAN, LIST, TEXT, integer, member, secret
from shardmap import KeyType


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Which tokens are believed, and where they name the tenant."""

    jwt_secret: str = setting(
        "FLUXBASE_AUTH_JWT_SECRET",
        secret(),
        None,
        "key of all tokens: a secret of at least 32 bytes (HS256; HS384 from 48, HS512 from 64), a "
        "JSON Web Key or a set of them, a public key in PEM, or `@file` that holds any of these",
        required=True,
    )
    jwt_secret_is_base64: bool = setting(
        "FLUXSHARD_JWT_SECRET_IS_BASE64", BOOLEAN, "false", "whether that is written in base64"
    )
    issuers: tuple[str, ...] = setting(
        "FLUXSHARD_JWT_ISSUERS",
        LIST,
        "fluxbase,supabase,supabase-demo",
        "accepted `iss` claims; a token without one is accepted; `*`: any",
    )
    audience: str = setting(
        "FLUXSHARD_JWT_AUDIENCE",
        TEXT,
        "",
        "the `aud` claim that tokens must have, if they have one; empty: any",
    )
    role_claim: str = setting(
        "FLUXSHARD_JWT_ROLE_CLAIM",
        TEXT,
        ".role",
        "where tokens name the role: a path like `.role`, `.app.roles[0]`, "
        '`."https://x/role"` or `.roles[?(@ ^== "api_")]`',
    )
    database_roles: tuple[str, ...] = setting(
        "FLUXSHARD_DATABASE_ROLES",
        LIST,
        "",
        "roles besides anon, authenticated and service_role that statements run as when a token "
        "names them; `*`: any that the login role may become. Others run as authenticated",
    )
    anon_role: str = setting(
        "FLUXSHARD_ANON_ROLE",
        TEXT,
        "anon",
        "the role of requests without a token, and of tokens that name none",
    )
    tenant_claim: str = setting(
        "FLUXSHARD_TENANT_CLAIM",
        TEXT,
        "tenant_id",
        "the claim that names the tenant, at the top level or in `app_metadata`",
    )
    tenant_key_type: KeyType = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXSHARD_TENANT_KEY_TYPE",
        member(KeyType),
        "integer",
        "SQL type of the tenant keys of a map that is made from these settings",
    )
    anonymous: bool = setting(
        "FLUXSHARD_ANONYMOUS",
        BOOLEAN,
        "false",
        "whether /rest/v1 answers a request without a token as role anon, not with 401",
    )
    token_cache_entries: int = setting(
        "FLUXSHARD_TOKEN_CACHE_ENTRIES",
        integer(0, 1_000_000),
        "4096",
        "verified tokens remembered by one worker",
    )
