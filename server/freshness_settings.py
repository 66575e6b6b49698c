"""The settings about freshness: what reads may miss, and how instances share what sessions saw."""

from collections.abc import Mapping
from dataclasses import dataclass

from router import Consistency
from server.configuration.declaration import setting
from server.configuration.forms import BOOLEAN, CONSISTENCIES, CONSISTENCY


@dataclass(frozen=True, slots=True)
class FreshnessSettings:
    """How fresh reads are."""

    consistency: Consistency = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXSHARD_CONSISTENCY",
        CONSISTENCY,
        "session",
        "what reads may miss unless their caller says otherwise; see docs/freshness.md",
    )
    routes: Mapping[str, Consistency] = setting(
        "FLUXSHARD_CONSISTENCY_ROUTES",
        CONSISTENCIES,
        "",
        "the same for single tables and for the SQL API: `products=any,sales.orders=strong,sql=tenant`",
    )
    position_header: bool = setting(
        "FLUXSHARD_POSITION_HEADER",
        BOOLEAN,
        "true",
        "whether responses carry Fluxshard-Position, and requests may",
    )
