"""Options of commands that take a statement: its values, and the role that asks."""

import click

from server.explaining.lines import ROLES

param_option = click.option(
    "--param",
    "params",
    multiple=True,
    metavar="VALUE",
    help="The next $n: JSON (7, null, [1,2]), else text.",
)
role_option = click.option(
    "--role",
    type=click.Choice(ROLES),
    help="[default: authenticated with a tenant, else service_role]",
)
