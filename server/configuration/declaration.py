"""What a setting is: its name, form, default and meaning, stated where its value is kept."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

from server.configuration.forms import Form

_KEY: Final = "setting"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting. `default` is written as an operator would write it; None: it is not set."""

    name: str
    form: Form[Any]
    default: str | None
    meaning: str
    required: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names that it can be given by; the first one given wins."""
        return (self.name, *self.aliases)


def setting(  # noqa: PLR0913 - the columns of the table of settings
    name: str,
    form: Form[Any],
    default: str | None,
    meaning: str,
    *,
    required: bool = False,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A field of a section of `Settings`, with its declaration."""
    declaration = Declaration(name, form, default, meaning, required, aliases)
    metadata, shown = {_KEY: declaration}, not form.confidential
    if default is None:
        return field(default=None, metadata=metadata, repr=shown)
    value = form.parse(default)
    if value.__hash__ is None:  # a dataclass wants a new one each time
        return field(default_factory=lambda: form.parse(default), metadata=metadata, repr=shown)
    return field(default=value, metadata=metadata, repr=shown)


def declaration_of(member: Field[Any]) -> Declaration | None:
    """The declaration of a dataclass field, or None: it is no setting of its own."""
    found: Declaration | None = member.metadata.get(_KEY)
    return found


def declarations(section: Any) -> Iterator[tuple[str, Declaration]]:
    """The settings of a section (its class, or a value of it), with the names of their fields."""
    for member in fields(section):
        declaration = declaration_of(member)
        if declaration is not None:
            yield member.name, declaration
