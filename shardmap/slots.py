"""Tenant key to slot: frozen for ever, with golden vectors in the tests."""

import hashlib
from functools import lru_cache
from typing import Final

from shardmap.ids import TenantId

SLOTS: Final = 4096
"""How finely a cluster can be divided. Changing it moves every row in every cluster."""

HASH: Final = "blake2b-8/4096"
"""The name of this hash in map documents: another one would be another name."""


@lru_cache(maxsize=16_384)
def slot_of(tenant: TenantId) -> int:
    """The slot in [0, 4096) of a tenant key in canonical text.

    BLAKE2b cut to 8 bytes, big-endian, modulo 4,096. Stable across processes and releases:
    changing it is a migration of all data, and a golden test says so.
    """
    digest = hashlib.blake2b(tenant.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % SLOTS
