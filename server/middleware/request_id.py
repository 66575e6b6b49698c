"""The id of a request: the caller's own if it is fit to be logged, else a new one."""

import itertools
import re
import secrets
from typing import Final

_FIT: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)


class RequestIds:
    """Makes ids that are unique among processes: a random prefix, then a counter."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def of(self, sent: str | None) -> str:
        """The id for a request that was sent with this `X-Request-ID`."""
        if sent is not None and _FIT.fullmatch(sent):
            return sent
        return f"{self._prefix}-{next(self._numbers):x}"
