"""What can be wrong with relations that a request embeds, orders by or filters on.

RestError
├── EmbedUnknown             400  a parameter about a relation that is not selected
├── RelationshipMissing      400  no foreign key leads there
├── RelationshipAmbiguous    300  several do, and no hint says which
├── RelatedOrderImpossible   400  an order by a relation of many rows
└── EmbedOperatorInvalid     400  a relation is null or not null, and nothing else
"""

from collections.abc import Sequence
from typing import NamedTuple

from server.rest.errors import SHOWN_CHARS, RestError


class Way(NamedTuple):
    """One relationship as clients read it; `hint` is what tells it from the others."""

    cardinality: str
    embedding: str
    relationship: str
    hint: str


class EmbedUnknown(RestError):
    """A parameter is about a relation that the select does not embed."""

    postgrest_code = "PGRST108"

    def __init__(self, relation: str) -> None:
        shown = relation[:SHOWN_CHARS]
        super().__init__(
            f"'{shown}' is not an embedded resource in this request",
            hint=f"Verify that '{shown}' is included in the 'select' query parameter.",
        )


class RelationshipMissing(RestError):
    """No foreign key leads from the table to what the select embeds."""

    code = "RELATIONSHIP_UNKNOWN"
    postgrest_code = "PGRST200"

    def __init__(
        self, source: str, relation: str, schema: str, hint: str | None, close: str | None
    ) -> None:
        """`close`: a related table of nearly that name."""
        shown = relation[:SHOWN_CHARS]
        by_hint = "" if hint is None else f" using the hint '{hint[:SHOWN_CHARS]}'"
        super().__init__(
            f"Could not find a relationship between '{source}' and '{shown}' in the schema cache",
            details=(
                f"Searched for a foreign key relationship between '{source}' and '{shown}'"
                f"{by_hint} in the schema '{schema}', but no matches were found."
            ),
            hint=None if close is None else f"Perhaps you meant '{close}' instead of '{shown}'.",
        )


class RelationshipAmbiguous(RestError):
    """Several foreign keys lead from the table to what the select embeds."""

    status = 300
    code = "RELATIONSHIP_AMBIGUOUS"
    postgrest_code = "PGRST201"

    def __init__(self, source: str, relation: str, ways: Sequence[Way]) -> None:
        shown = relation[:SHOWN_CHARS]
        hints = ", ".join(f"'{shown}!{way.hint}'" for way in ways)
        super().__init__(
            "Could not embed because more than one relationship was found for"
            f" '{source}' and '{shown}'",
            details=[
                {
                    "cardinality": way.cardinality,
                    "embedding": way.embedding,
                    "relationship": way.relationship,
                }
                for way in ways
            ],
            hint=(
                f"Try changing '{shown}' to one of the following: {hints}."
                " Find the desired relationship in the 'details' key."
            ),
        )


class RelatedOrderImpossible(RestError):
    """An order by a column of a relation that may have many rows."""

    postgrest_code = "PGRST118"

    def __init__(self, source: str, relation: str) -> None:
        shown = relation[:SHOWN_CHARS]
        super().__init__(
            f"A related order on '{shown}' is not possible",
            details=(
                f"'{source}' and '{shown}' do not form a many-to-one or one-to-one relationship"
            ),
        )


class EmbedOperatorInvalid(RestError):
    """A filter compares an embedded relation with a value."""

    postgrest_code = "PGRST120"

    def __init__(self, relation: str) -> None:
        shown = relation[:SHOWN_CHARS]
        super().__init__(
            f"Bad operator on the '{shown}' embedded resource",
            details="Only is null or not is null filters are allowed on embedded resources",
        )
