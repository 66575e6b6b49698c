"""Credentials of a request to its Principal, with verified tokens remembered."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from server.auth.claims import check_claims
from server.auth.credentials import Carrier, credential
from server.auth.keys import Keys
from server.auth.principal import Roles, principal
from server.auth.tokens import claims_of
from server.errors import ClaimsRefused, SecretMissing, TenantContradicted
from server.exchange import Principal
from server.settings import AuthSettings
from shardmap import KeyType, tenant_id


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token was found to mean, and until when that holds."""

    principal: Principal
    until: float


class Authenticator:
    """Verifies tokens. A verified one is remembered until it expires or newer ones push it out.

    `key_type` is asked for each time, because the shard map that knows it may be replaced.
    The settings have been checked: their keys can be read.
    """

    def __init__(
        self,
        settings: AuthSettings,
        key_type: Callable[[], KeyType],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._keys = keys_of(settings)
        self._roles = Roles.of(
            settings.anon_role or None, settings.database_roles, settings.role_claim
        )
        self.nobody = self._roles.nobody()
        """The caller without a credential; None: such callers are not let in."""
        self._key_type = key_type
        self._clock = clock
        self._verified: dict[str, _Verified] = {}
        self._verified_for = key_type()

    def caller(self, headers: Mapping[str, str]) -> Principal | None:
        """Who sends these headers; None when they hold no credential.

        Raises:
            Unauthenticated: The credential that counts is not good.
            SecretMissing: There is a token, and no key that it could be checked with.
            TenantContradicted: `X-Tenant-ID` is not the tenant of a token that has no choice.
            InvalidTenantKey: `X-Tenant-ID` is no key of the map's type.
        """
        found = credential(headers)
        if found is None:
            return None
        caller = self._known(found.token)
        if found.carrier is Carrier.SERVICE and not caller.service:
            raise ClaimsRefused("The key sent as a service key has another role")
        chosen = headers.get("X-Tenant-ID")
        return caller if chosen is None else self._in_tenant(caller, chosen)

    def _known(self, token: str) -> Principal:
        key_type = self._key_type()
        if key_type is not self._verified_for:
            self._verified.clear()
            self._verified_for = key_type
        now = self._clock()
        known = self._verified.get(token)
        if known is not None:
            if now <= known.until:
                return known.principal
            del self._verified[token]
        if self._keys is None:
            raise SecretMissing
        claims = claims_of(token, self._keys)
        until = check_claims(claims, now, self._settings.issuers, self._settings.audience)
        found = principal(
            claims,
            tenant_claim=self._settings.tenant_claim,
            key_type=key_type,
            key_hash=hashlib.sha256(token.encode()).hexdigest()[:32],
            roles=self._roles,
        )
        self._remember(token, _Verified(found, until))
        return found

    def _remember(self, token: str, verified: _Verified) -> None:
        most = self._settings.token_cache_entries
        if not most:
            return
        if len(self._verified) >= most:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = verified

    def _in_tenant(self, caller: Principal, chosen: str) -> Principal:
        tenant = tenant_id(self._verified_for, chosen)
        if tenant == caller.tenant:
            return caller
        if not caller.service or caller.tenant is not None:
            raise TenantContradicted
        return replace(caller, tenant=tenant)


def keys_of(settings: AuthSettings) -> Keys | None:
    """The keys that the settings name; None: they name none.

    Raises:
        KeysUnusable: They name something else.
    """
    if not settings.jwt_secret:
        return None
    return Keys.read(settings.jwt_secret, is_base64=settings.jwt_secret_is_base64)
