"""`fluxshard token`: a signed key for a tenant, a role, or the service."""

import os
import secrets
import time
from pathlib import Path
from typing import Any, Final

import click
import orjson

from server.auth import mint
from server.cli.serve import config_option, exit_with_problems
from server.configuration.forms import DURATION
from server.configuration.reading import load_auth_settings
from server.errors import SettingsInvalid

ISSUER: Final = "fluxbase"


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        try:
            return DURATION.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@config_option
@click.option(
    "--role",
    default="authenticated",
    show_default=True,
    help="anon, authenticated, service_role, or one of your application's own.",
)
@click.option("--tenant", help="The tenant; goes into the claim FLUXSHARD_TENANT_CLAIM.")
@click.option("--sub", "subject", help="The user.")
@click.option("--session", help="The session, whose reads never go back in time.")
@click.option(
    "--expires",
    type=_Duration(),
    default="24h",
    show_default=True,
    help="30s, 15m, 24h …; 0: never.",
)
@click.option("--claims", help="More claims, as a JSON object.")
def command(  # noqa: PLR0913 - its options
    *,
    config: Path | None,
    role: str,
    tenant: str | None,
    subject: str | None,
    session: str | None,
    expires: float,
    claims: str | None,
) -> None:
    """Print a token, signed with FLUXBASE_AUTH_JWT_SECRET."""
    try:
        auth = load_auth_settings(os.environ, config)
    except SettingsInvalid as error:
        exit_with_problems(error)
    now = int(time.time())
    payload: dict[str, object] = {
        "iss": ISSUER,
        "iat": now,
        "jti": secrets.token_hex(8),
        "role": role,
        **_more(claims),
    }
    if expires:
        payload["exp"] = now + int(expires)
    if tenant is not None:
        payload[auth.tenant_claim] = tenant
    if subject is not None:
        payload["sub"] = subject
    if session is not None:
        payload["session_id"] = session
    click.echo(mint(payload, auth.jwt_secret))


def _more(claims: str | None) -> dict[str, object]:
    if claims is None:
        return {}
    try:
        found = orjson.loads(claims)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--claims") from error
    if not isinstance(found, dict):
        raise click.BadParameter("not a JSON object", param_hint="--claims")
    return found
