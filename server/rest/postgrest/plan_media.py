"""The media types of plans: `application/vnd.pgrst.plan`, its options, and how plans are written."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import orjson

from router import PLAN_OPTIONS, PlanOptions, ServerPlan
from server.rest.postgrest.media import Media, media_of

NAME: Final = "application/vnd.pgrst.plan"

_PARAMETER: Final = re.compile(r'\s*([a-z]+)\s*=\s*("[^"]*"|[^;"]*)\s*', re.DOTALL)


class PlanMedia(NamedTuple):
    """What is to be explained, how, and what it is called."""

    media: Media
    """The representation whose statement is explained."""
    options: PlanOptions
    content_type: str


def plan_media(accept: str | None) -> PlanMedia | None:
    """The plan that a client wants to see; None: it wants rows.

    Options that EXPLAIN does not have are none.

    Raises:
        MediaUnavailable: It is the plan of a representation that cannot be made.
    """
    if accept is None or NAME not in accept:
        return None
    first, *parameters = accept.split(";")
    name = first.strip().lower()
    if name not in {NAME, f"{NAME}+json", f"{NAME}+text"}:
        return None
    wanted: dict[str, str] = {}
    for parameter in parameters:
        found = _PARAMETER.fullmatch(parameter)
        if found is not None:
            wanted.setdefault(found[1], found[2].strip().strip('"'))
    asked = wanted.get("options", "").split("|")
    chosen = tuple(option for option in PLAN_OPTIONS if option in asked)
    of = wanted.get("for", "application/json")
    as_json = name.endswith("+json")
    media = media_of(of)
    told = [f"{NAME}+{'json' if as_json else 'text'}", f'for="{of}"']
    if chosen:
        told.append(f"options={'|'.join(chosen)}")
    return PlanMedia(media, PlanOptions(as_json, chosen), "; ".join((*told, "charset=utf-8")))


def plans_body(plans: Sequence[ServerPlan], options: PlanOptions) -> bytes:
    """One shard's plan as PostgreSQL printed it; of several, each with its shard's name."""
    if len(plans) == 1:
        return plans[0].text.encode()
    if options.as_json:
        listed = [{"Shard": each.shard, **plan} for each, plan in _read(plans)]
        return orjson.dumps(listed, option=orjson.OPT_INDENT_2)
    return "\n\n".join(f"Shard {each.shard}:\n{each.text}" for each in plans).encode()


def _read(plans: Iterable[ServerPlan]) -> list[tuple[ServerPlan, dict[str, object]]]:
    return [(each, plan) for each in plans for plan in orjson.loads(each.text)]
