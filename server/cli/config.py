"""`fluxshard config`: the settings in effect, or the table of all that there are."""

from pathlib import Path

import click

from server.cli.serve import config_option, settings_or_exit
from server.configuration.show import effective, table


@click.command()
@config_option
@click.option("--table", "whole_table", is_flag=True, help="All settings, as docs/settings.md.")
def command(config: Path | None, *, whole_table: bool) -> None:
    """Print the settings in effect as a settings file; secrets are masked, defaults commented."""
    if whole_table:
        click.echo("\n".join(table()).strip())
        return
    settings, notices = settings_or_exit(config)
    click.echo("\n".join(effective(settings)).strip())
    for unknown in notices.unknown:
        meant = f"; did you mean {unknown.meant}?" if unknown.meant else ""
        click.echo(f"{unknown.name} ({unknown.source}) means nothing{meant}", err=True)
    if notices.without_effect:
        click.echo(f"no effect yet: {', '.join(notices.without_effect)}", err=True)
