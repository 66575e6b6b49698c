"""How fresh a read has to be: the policy that a caller, a route or the settings ask for."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

MAX_BOUND_S: Final = 3600.0
"""Positions of a primary are remembered for hours, not for ever; what is older cannot be dated."""

_BOUND: Final = re.compile(r"bounded\s*[=(]\s*([0-9]{1,6})\s*(ms|s)\s*\)?", re.ASCII)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0}


class Policy(StrEnum):
    """What a read may miss."""

    SESSION = "session"
    """Nothing that its session has written or read."""
    TENANT = "tenant"
    """Nothing that its tenant has written, nor what readers of this policy have read."""
    BOUNDED = "bounded"
    """What was committed within so many milliseconds."""
    STRONG = "strong"
    """Nothing that was acknowledged to anybody before the read began."""
    ANY = "any"
    """Anything: whoever is alive answers."""


class Consistency(NamedTuple):
    """A policy. `bound_s` belongs to BOUNDED."""

    policy: Policy
    bound_s: float = 0.0

    def text(self) -> str:
        """As it is written in settings and in `Prefer: consistency=…`."""
        if self.policy is Policy.BOUNDED:
            return f"bounded={round(self.bound_s * 1000)}ms"
        return self.policy.value


SESSION: Final = Consistency(Policy.SESSION)
TENANT: Final = Consistency(Policy.TENANT)
STRONG: Final = Consistency(Policy.STRONG)
ANY: Final = Consistency(Policy.ANY)

WORDS: Final = "session, tenant, bounded=500ms (at most 3600s), strong, any"

_NAMED: Final = {each.policy.value: each for each in (SESSION, TENANT, STRONG, ANY)}


def read_consistency(text: str) -> Consistency | None:
    """The policy that the text names, in any case; None: it names none, or a bound out of bounds."""
    word = text.strip().lower()
    named = _NAMED.get(word)
    if named is not None:
        return named
    bound = _BOUND.fullmatch(word)
    if bound is None or ("(" in word) is not word.endswith(")"):
        return None
    bound_s = int(bound[1]) * _UNIT_S[bound[2]]
    return Consistency(Policy.BOUNDED, bound_s) if 0 < bound_s <= MAX_BOUND_S else None
