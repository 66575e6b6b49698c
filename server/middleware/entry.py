"""Who comes in: the caller of a request, by the route's rule for those without a credential."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from server.auth import ANONYMOUS, Authenticator
from server.errors import CredentialMissing
from server.exchange import Principal
from server.routes import Entry


class Doorkeeper:
    """Finds the caller, or refuses entry."""

    def __init__(self, authenticator: Authenticator, *, anonymous: bool) -> None:
        self._authenticator = authenticator
        self._anonymous = anonymous

    def admit(self, entry: Entry, headers: Mapping[str, str], query: str = "") -> Principal:
        """The caller.

        Raises:
            CredentialMissing: There is no credential and the route wants one.
            Unauthenticated, TenantContradicted, InvalidTenantKey: See `Authenticator.caller`.
        """
        if entry is Entry.OPEN:
            return ANONYMOUS
        caller = self._authenticator.caller(headers)
        if caller is None and entry is Entry.KNOWN_BY_URL:
            caller = self._authenticator.caller(_by_url(headers, query))
        if caller is None and entry is Entry.ANONYMOUS and self._anonymous:
            caller = self._authenticator.nobody
        if caller is None and entry is Entry.WELCOME:
            return ANONYMOUS
        if caller is None:
            raise CredentialMissing
        return caller


def _by_url(headers: Mapping[str, str], query: str) -> Mapping[str, str]:
    """The headers as they were if the token of the query string were one of them."""
    found = dict(headers)
    for name, value in parse_qsl(query):
        if name == "token":
            found["Authorization"] = f"Bearer {value}"
    return found
