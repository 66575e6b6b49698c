"""`fluxshard bench list`: the workloads, and what each is."""

import click

from bench.workloads import WORKLOADS


@click.command()
def command() -> None:
    """The workloads by name."""
    width = max(map(len, WORKLOADS))
    for name, known in WORKLOADS.items():
        click.echo(f"{name:{width}s}  {known.about}")
