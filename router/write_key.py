"""What a caller names a write by, so that repeating it does it once; and what came of it."""

from typing import NamedTuple


class WriteKey(NamedTuple):
    """Digests: a key is found by `key`, and is good for one request only."""

    key: bytes
    """Of the tenant, the user and the name that they gave it."""
    target: bytes
    """Of what is to be done: method and path."""
    content: bytes
    """Of the body."""


class Outcome(NamedTuple):
    """What work under a key came to."""

    answer: bytes | None
    """What is given to whoever repeats it; None: it is done again."""
    undone: bool = False
    """It failed: nothing of it is to remain but the answer."""
