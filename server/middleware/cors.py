"""Which pages of other origins may call: the headers of the CORS protocol (Fetch, 3.2)."""

from collections.abc import Mapping

from server.exchange import Reply
from server.settings import CorsSettings


class Cors:
    """Answers preflights, and adds to responses what lets a page read them."""

    def __init__(self, settings: CorsSettings) -> None:
        self._origins = frozenset(settings.allowed_origins)
        self._any = "*" in self._origins
        credentials = (
            "Access-Control-Allow-Credentials: true\r\n" if settings.allow_credentials else ""
        )
        exposed = ", ".join(settings.exposed_headers)
        exposing = f"Access-Control-Expose-Headers: {exposed}\r\n" if exposed else ""
        self._rest = f"{credentials}{exposing}Vary: Origin\r\n"
        self._any_header = "*" in settings.allowed_headers
        self._headers = ", ".join(settings.allowed_headers)
        self._preflight = (
            ("Access-Control-Allow-Methods", ", ".join(settings.allowed_methods)),
            ("Access-Control-Max-Age", str(settings.max_age_s)),
        )

    def header_lines(self, origin: str | None) -> str:
        r"""Header lines for a response to a page of that origin, each ending in `\r\n`.

        The origin itself is echoed, never `*`, because credentials are sent along.
        """
        if origin is None:
            return ""
        if not self._allowed(origin):
            return "Vary: Origin\r\n"
        return f"Access-Control-Allow-Origin: {origin}\r\n{self._rest}"

    def preflight(self, method: str, headers: Mapping[str, str]) -> Reply | None:
        """The answer to a preflight request; None when the request is none."""
        if method != "OPTIONS" or "Access-Control-Request-Method" not in headers:
            return None
        origin = headers.get("Origin")
        allowed = origin is not None and self._allowed(origin)
        if not allowed:
            return Reply(204)
        asked = headers.get("Access-Control-Request-Headers", "")
        # `*` itself would not do: with credentials it is a header's name
        named = asked if self._any_header and asked.isascii() and asked.isprintable() else ""
        listed = ("Access-Control-Allow-Headers", named or self._headers)
        return Reply(204, headers=(*self._preflight, listed))

    def _allowed(self, origin: str) -> bool:
        return origin in self._origins or (self._any and origin.isascii() and origin.isprintable())
