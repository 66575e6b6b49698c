"""What the commands of the harness share: options, and how they end."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click

from bench.errors import BenchError
from bench.limits import Limit, read_limit
from server.embedded import EmbeddedError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

FAILED: Final = 1


class LimitType(click.ParamType[Limit]):
    """A limit of servers, as `bench.limits` reads it."""

    name = "limit"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Limit:
        """The limit."""
        if not isinstance(value, str):
            return value  # type: ignore[return-value]  # a default that is a limit
        try:
            return read_limit(value)
        except BenchError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


def limit_option(default: str) -> Callable[[F], F]:
    """`--limit`, with the command's own default."""
    return click.option(
        "--limit",
        type=LimitType(),
        default=default,
        show_default=True,
        help="How each server's capacity is limited: none, service:8ms*2 (two at a time, 8 ms"
        " each), service:8ms*2~ (exponential), cpu:20% (of one core).",
    )


def _pairs(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for each in value:
        name, equals, setting = each.partition("=")
        if not equals:
            raise click.BadParameter(f"{each} is no NAME=VALUE", ctx, param)
        pairs[name] = setting
    return pairs


def settings_option(command: F) -> F:
    """`--set`, the settings of Fluxshard that a run is under."""
    return click.option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_pairs,
        help="A setting of Fluxshard, as FLUXSHARD_HEDGE_AFTER=p95; may be given several times.",
    )(command)


def common_options(command: F) -> F:
    """`--seconds`, `--warm`, `--seed` and `--out`."""
    for option in (
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help="A directory for result.json, table and plots.",
        ),
        click.option("--seed", default=1, show_default=True, help="Seeds all that is by chance."),
        click.option(
            "--warm",
            "warm_s",
            type=click.FloatRange(0),
            default=1.0,
            show_default=True,
            help="Seconds before what is measured.",
        ),
        click.option(
            "--seconds",
            type=click.FloatRange(0.1),
            default=5.0,
            show_default=True,
            help="Seconds of each measurement.",
        ),
    ):
        command = option(command)
    return command


def told(words: str) -> None:
    """Progress, to standard error."""
    click.echo(words, err=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result; an error of the harness ends the command with its code, message and hint."""
    try:
        return asyncio.run(work)
    except* (BenchError, EmbeddedError) as group:
        error = _first(group)
    return refuse(error)


def refuse(error: BenchError | EmbeddedError) -> NoReturn:
    """End the command with the error's code, message and hint."""
    click.echo(f"{error.code}: {error.message}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    sys.exit(FAILED)


def _first(error: BaseException) -> BenchError | EmbeddedError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BenchError | EmbeddedError)  # noqa: S101 - what was caught
    return error
