"""How a setting is written: text to value and back, one form per kind of value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from router import WORDS, Consistency, read_consistency
from shardmap import InvalidUrl, parse_url, read_listed

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MASK: Final = "********"
"""What is shown of a secret. Always of the same length, so that it tells nothing."""

_UNITS_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]+) ?(B|[KMG]i?B)?", re.ASCII)
_SIZE_BYTES: Final = {
    None: 1, "B": 1,
    "KB": 1000, "MB": 1000**2, "GB": 1000**3,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3,
}  # fmt: skip
_TRUE: Final = frozenset({"true", "t", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "f", "no", "off", "0"})
_PASSWORD: Final = re.compile(r"(?<=://)([^:@/?#]*):[^@/?#]*@")
_PASSWORD_PARAMETER: Final = re.compile(r"(?<=[?&]password=)[^&]*")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """A kind of value. `parse` raises ValueError with a message fit for the operator."""

    name: str
    parse: Callable[[str], T]
    show: Callable[[T], str] = str
    confidential: bool = False
    """The value may hold a secret; `show` masks it."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen. An empty host is every address; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def unquoted(text: str) -> str:
    """The text without blanks and one pair of quotes around it (`"false"` in a YAML list)."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].strip()
    return text


def masked_url(url: str) -> str:
    """A PostgreSQL url without its password."""
    return _PASSWORD_PARAMETER.sub(MASK, _PASSWORD.sub(rf"\1:{MASK}@", url))


def _duration(text: str) -> float:
    text = unquoted(text)
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like 30s, 15m, 1h30m or 500ms")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))


def _shown_duration(seconds: float) -> str:
    if not seconds:
        return "0s"
    milliseconds = round(seconds * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    for unit, unit_s in (("h", 3600), ("m", 60)):
        if seconds % unit_s == 0:
            return f"{int(seconds // unit_s)}{unit}"
    return f"{int(seconds)}s"


def _boolean(text: str) -> bool:
    word = unquoted(text).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _size(text: str) -> int:
    match = _SIZE.fullmatch(unquoted(text))
    if match is None:
        raise ValueError(f"{text!r} is no size; write bytes, or a number with KiB, MiB or GiB")
    return int(match[1]) * _SIZE_BYTES[match[2]]


def _list(text: str) -> tuple[str, ...]:
    return tuple(item for part in unquoted(text).split(",") if (item := unquoted(part)))


def _listen_address(text: str) -> ListenAddress:
    text = unquoted(text)
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(f"{text!r} is no address to listen on; write :8080 or 127.0.0.1:8080")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address is written [address]:port")
    return ListenAddress(host, int(port))


def _url(text: str) -> str:
    text = unquoted(text)
    _checked(parse_url, text)
    return text


def _endpoints(text: str) -> tuple[str, ...]:
    items = _list(text)
    for item in items:
        _checked(read_listed, item)
    return items


def _redis_url(text: str) -> str:
    text = unquoted(text)
    if not re.fullmatch(r"(rediss?|unix)://\S+", text):
        raise ValueError("must be written redis://host:6379/0, rediss://… or unix:///path")
    return text


def _consistency(text: str) -> Consistency:
    found = read_consistency(unquoted(text))
    if found is None:
        raise ValueError(f"{text.strip()!r} is none of {WORDS}")
    return found


def _consistencies(text: str) -> Mapping[str, Consistency]:
    found: dict[str, Consistency] = {}
    for item in _list(text):
        name, equals, policy = item.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{item!r} is not written like products=any")
        if name.strip() in found:
            raise ValueError(f"{name.strip()} is there twice")
        found[name.strip()] = _consistency(policy)
    return found


def _checked(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except InvalidUrl as error:
        raise ValueError(str(error)) from error


def _optional(show: Callable[[T], str]) -> Callable[[T | None], str]:
    def shown(value: T | None) -> str:
        return "" if value is None else show(value)

    return shown


TEXT: Final[Form[str]] = Form("text", str.strip)
DURATION: Final = Form("duration", _duration, _shown_duration)
BOOLEAN: Final = Form("boolean", _boolean, lambda value: str(value).lower())
SIZE: Final = Form("size", _size)
LIST: Final = Form("list", _list, ",".join)
ADDRESS: Final = Form("address", _listen_address)
OPTIONAL_ADDRESS: Final[Form[ListenAddress | None]] = Form(
    "address", _listen_address, _optional(str)
)
URL: Final[Form[str | None]] = Form("url", _url, _optional(masked_url), confidential=True)
ENDPOINTS: Final = Form(
    "list of host:port or urls",
    _endpoints,
    lambda items: ",".join(map(masked_url, items)),
    confidential=True,
)


REDIS_URL: Final[Form[str | None]] = Form(
    "url", _redis_url, _optional(masked_url), confidential=True
)
CONSISTENCY: Final = Form("policy", _consistency, Consistency.text)
CONSISTENCIES: Final[Form[Mapping[str, Consistency]]] = Form(
    "list of name=policy",
    _consistencies,
    lambda items: ",".join(f"{name}={policy.text()}" for name, policy in items.items()),
)


def secret(least_bytes: int = 0) -> Form[str]:
    """Text that is never shown, of at least so many bytes."""

    def parse(text: str) -> str:
        if len(text.encode()) < least_bytes:
            raise ValueError(f"must have at least {least_bytes} bytes")
        return text

    return Form("secret", parse, lambda value: MASK if value else "", confidential=True)


def integer(least: int, most: int | None = None) -> Form[int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        text = unquoted(text)
        if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
            raise ValueError(f"{text!r} is no whole number")
        number = int(text)
        if number < least or (most is not None and number > most):
            bounds = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"must be {bounds}, not {number}")
        return number

    return Form("integer", parse)


def fraction() -> Form[float]:
    """A number from 0 to 1."""

    def parse(text: str) -> float:
        text = unquoted(text)
        if not re.fullmatch(r"(0|1|0?\.[0-9]{1,9}|0\.[0-9]{1,9}|1\.0{1,9})", text, re.ASCII):
            raise ValueError(f"{text!r} is no number from 0 to 1")
        return float(text)

    return Form("number from 0 to 1", parse, lambda value: f"{value:g}")


def choice(*words: str) -> Form[str]:
    """One of a few words, in any case."""

    def parse(text: str) -> str:
        word = unquoted(text).lower()
        if word not in words:
            raise ValueError(f"{word!r} is none of {', '.join(words)}")
        return word

    return Form(" or ".join(words), parse)


def member(kind: type[E]) -> Form[E]:
    """One member of an enumeration of words."""
    words = choice(*kind)

    def parse(text: str) -> E:
        return kind(words.parse(text))

    return Form(words.name, parse, str)


def positive_duration(least_s: float = 0.001) -> Form[float]:
    """A duration that cannot be zero."""

    def parse(text: str) -> float:
        seconds = _duration(text)
        if seconds < least_s:
            raise ValueError(f"must be at least {_shown_duration(least_s)}")
        return seconds

    return Form("duration", parse, _shown_duration)
