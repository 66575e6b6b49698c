"""The settings of the documents that describe the API."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from server.configuration.declaration import setting
from server.configuration.forms import BOOLEAN, TEXT, Form, choice


def _web_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("is no http:// or https:// url")
    if parts.port == 0:
        raise ValueError("has no port that can be reached")
    return text


WEB_URL: Final[Form[str]] = Form("url", _web_url)


@dataclass(frozen=True, slots=True)
class OpenApiSettings:
    """Documents that describe the API."""

    mode: str = setting(
        "FLUXSHARD_OPENAPI_MODE",
        choice("follow-privileges", "ignore-privileges", "disabled"),
        "follow-privileges",
        "which tables and functions the documents show: those that the caller's role may use, all, "
        "or there are no documents",
        aliases=("PGRST_OPENAPI_MODE",),
    )
    url: str = setting(
        "FLUXSHARD_OPENAPI_URL",
        WEB_URL,
        "",
        "where clients find the PostgREST dialect, if a proxy stands before it; empty: at "
        "FLUXBASE_SERVER_ADDRESS",
        aliases=("PGRST_OPENAPI_SERVER_PROXY_URI",),
    )
    security: bool = setting(
        "FLUXSHARD_OPENAPI_SECURITY",
        BOOLEAN,
        "false",
        "whether the document at /rest/v1/ says that a token is sent",
        aliases=("PGRST_OPENAPI_SECURITY_ACTIVE",),
    )
    root_function: str = setting(
        "FLUXSHARD_ROOT_FUNCTION",
        TEXT,
        "",
        "the function whose result is the document at /rest/v1/, in the place of ours",
        aliases=("PGRST_DB_ROOT_SPEC",),
    )
    docs: bool = setting(
        "FLUXSHARD_DOCS",
        BOOLEAN,
        "true",
        "whether there are /openapi.json, which describes the whole API, and /docs to browse it",
    )
