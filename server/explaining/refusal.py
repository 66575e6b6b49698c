"""A refusal that was decided before there was a statement, in the form of an explanation."""

from typing import Any

from router import Explanation, RouterError


def refusal_of(error: RouterError) -> dict[str, Any]:
    """The summary of an explanation."""
    return Explanation(0, f"{error.code}: {error.message}", refusal=error).summary()
