"""What surrounds the statements of one request: what code of users may ask, and how they end.

PostgREST gives each request's transaction settings that policies, triggers and functions read
(`request.headers`, …), and takes others back that they have set (`response.status`, …).
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from router.errors import QueryRefused
from shardmap import ShardId

ASKED: Final = (
    "SELECT nullif(pg_catalog.current_setting('response.status', true), ''),"
    " nullif(pg_catalog.current_setting('response.headers', true), '')"
)
"""What code of users has set for the response, asked in the transaction in which it ran."""


class Told(NamedTuple):
    """What code of users wants of the response, as it wrote it; None: nothing."""

    status: str | None
    headers: str | None


NOTHING_TOLD: Final = Told(None, None)


class ResponsesDiffer(QueryRefused):
    """Code of users ran on several shards, and set different things for the one response."""

    code = "P111"
    hint = "Name the tenant, so that one shard answers."


class RowsTooMany(QueryRefused):
    """The write changed more rows than its caller allowed, and was rolled back."""

    code = "P112"

    def __init__(self, most: int, found: int) -> None:
        super().__init__(f"at most {most} row(s) were allowed, the statement affects {found}")
        self.most = most
        self.found = found


@dataclass(frozen=True, slots=True)
class Environment:
    """What surrounds the statements of one request. Its `told` fills while they run."""

    settings: tuple[tuple[str, str], ...] = ()
    """Names and values of settings of the transaction."""
    before: str = ""
    """A call of a function that runs first, as SQL."""
    always: bool = False
    """It holds for statements that run no code of users, too."""
    rolled_back: bool = False
    """Writes are answered as if they were done, and rolled back."""
    most_rows: int | None = None
    """Writes of more rows are refused, and rolled back."""
    told: dict[ShardId, Told] = field(default_factory=dict, compare=False)
    """What code of users has told on each shard."""

    def check_rows(self, found: int) -> None:
        """Refuse a write of more rows than are allowed.

        Raises:
            RowsTooMany: They are more.
        """
        if self.most_rows is not None and found > self.most_rows:
            raise RowsTooMany(self.most_rows, found)

    def response(self) -> Told:
        """What is wanted of the response.

        Raises:
            ResponsesDiffer: Shards want different things.
        """
        found = set(self.told.values())
        if len(found) > 1:
            raise ResponsesDiffer("functions on several shards gave the response different headers")
        return next(iter(found), NOTHING_TOLD)
