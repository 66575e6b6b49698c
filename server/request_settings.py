"""The settings of what surrounds each request's transaction, as PostgREST has them."""

import re
from dataclasses import dataclass
from typing import Final

from server.configuration.declaration import setting
from server.configuration.forms import Form, choice

_FUNCTION: Final = re.compile(r'(?:"[^"]+"|[^".\s]+)(?:\.(?:"[^"]+"|[^".\s]+))?')


def _function(text: str) -> str:
    if text and _FUNCTION.fullmatch(text) is None:
        raise ValueError("is no name of a function, such as auth.check_request")
    return text


FUNCTION: Final[Form[str]] = Form("function", _function)


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """What surrounds each request's transaction."""

    pre_request: str = setting(
        "FLUXSHARD_PRE_REQUEST",
        FUNCTION,
        "",
        "a function without arguments, called in each transaction under /rest/v1 and "
        "/api/v1/tables before its statement; what it raises refuses the request",
        aliases=("PGRST_DB_PRE_REQUEST",),
    )
    tx_end: str = setting(
        "FLUXSHARD_TX_END",
        choice("commit", "commit-allow-override", "rollback", "rollback-allow-override"),
        "commit",
        "how writes under /rest/v1 end, and whether `Prefer: tx=…` may say otherwise",
        aliases=("PGRST_DB_TX_END",),
    )
