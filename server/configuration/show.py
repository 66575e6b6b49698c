"""Settings for people: the effective ones of a server, and the table of all there are."""

from collections.abc import Iterator
from typing import Any

from server.configuration.declaration import declarations
from server.configuration.forms import masked_url
from server.configuration.reading import SECTIONS
from server.settings import Settings


def effective(settings: Settings) -> Iterator[str]:
    """Each setting as a line of a settings file, secrets masked, what is not set in a comment."""
    for name, section in SECTIONS.items():
        yield f"# {_title(section)}"
        values = getattr(settings, name)
        for member, declaration in declarations(section):
            shown = declaration.form.show(getattr(values, member))
            line = f"{declaration.name}={shown}"
            given = any(known in settings.environ for known in declaration.names)
            if given:
                yield line
            else:
                yield f"# {line}"
        if name == "database":
            yield from _shards(settings)
        yield ""


def table() -> Iterator[str]:
    """The lines of a Markdown table for each section: docs/settings.md holds them."""
    for section in SECTIONS.values():
        yield f"## {_title(section)}"
        yield ""
        yield "| name | form | default | meaning |"
        yield "|---|---|---|---|"
        for _, declaration in declarations(section):
            name = f"`{declaration.name}`"
            if declaration.aliases:
                name += " or " + ", ".join(f"`{alias}`" for alias in declaration.aliases)
            default = _shown_default(declaration.default, required=declaration.required)
            form = declaration.form.name
            yield f"| {name} | {form} | {default} | {declaration.meaning} |"
        yield ""


def _shards(settings: Settings) -> Iterator[str]:
    for shard in settings.database.shards:
        yield f"{shard.url_name}={masked_url(shard.url)}"
        if shard.read_replicas:
            yield f"{shard.read_replicas_name}={','.join(map(masked_url, shard.read_replicas))}"


def _shown_default(default: str | None, *, required: bool) -> str:
    if required:
        return "required"
    return f"`{default}`" if default else ""


def _title(section: type[Any]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0].rstrip(".")
