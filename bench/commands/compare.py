"""`fluxshard bench compare`: two results, as ratios with intervals."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from bench.commands.options import refuse
from bench.compare import compare, in_words
from bench.errors import BenchError
from bench.report.plots import comparison_png
from bench.result import read_result

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("a", metavar="A.json", type=FILE)
@click.argument("b", metavar="B.json", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="A PNG file for the ratios."
)
def command(*, a: Path, b: Path, as_json: bool, plot: Path | None) -> None:
    """Compare B.json with A.json: B/A of every figure, and what the rounds say of its certainty.

    Both are results that the commands of this harness wrote with --out, of the same workload on the
    same kind of world; anything else is refused.
    """
    try:
        comparison = compare(read_result(a), read_result(b))
    except BenchError as error:
        refuse(error)
    if plot is not None:
        plot.write_bytes(comparison_png(comparison, (str(a), str(b))))
    if as_json:
        ratios = [{**asdict(ratio), "differs": ratio.differs} for ratio in comparison.ratios]
        click.echo(json.dumps({"ratios": ratios, "notes": list(comparison.notes)}, indent=1))
    else:
        click.echo(in_words(comparison, (str(a), str(b))))
