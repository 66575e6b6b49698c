"""`fluxshard map edit`: the map in the operator's editor, until it can be applied or is given up."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from server.author import author
from server.cli.carrying import put_in_force, refusal_lines, tell
from server.cli.mapaccess import PROBLEMS, Catalog, Failed, catalog_options, run
from server.cli.moving import named
from server.mapchange.applying import Looked, Why, look_at
from server.mapchange.costing import cost
from server.mapchange.moving import hindrances
from shardmap import (
    InvalidMap,
    ShardMap,
    document_schema,
    read_map,
    write_yaml,
)

_MARK: Final = "#:"
"""Begins the lines that are ours; whatever else the operator writes is kept."""
_HELP: Final = (
    "Save and close to go on. To give up, leave the text as it is, or empty it.",
    "Lines that begin with #: are taken out.",
)


@click.command()
@click.option("--reason", help="Why, for `fluxshard map history`.  [default: it is asked for]")
@click.option("--author", "actor", help="Who.  [default: user@host]")
@click.option("--yes", is_flag=True, help="Do not ask before it is applied.")
@catalog_options
def edit(*, catalog: Catalog, reason: str | None, actor: str | None, yes: bool) -> None:
    """Change the map in force in $EDITOR, then apply it as the next epoch.

    What is wrong with the text, or would be refused, is written above it, and the editor opens
    again. When it ends without having applied a text that was changed, the text is kept in a file.
    """
    old = run(catalog.stored())
    if old is None:
        raise Failed(["no map has been applied"], PROBLEMS)
    directory = Path(tempfile.mkdtemp(prefix="fluxshard-map-"))
    (directory / "schema.json").write_text(json.dumps(document_schema()), encoding="utf-8")
    draft = _Draft(directory / "map.yaml", write_yaml(old))
    try:
        looked = _edited(catalog, draft, old)
        if looked is not None:
            why = Why(actor or author(), "cli", reason or click.prompt("Reason", err=True))
            if not yes:
                click.confirm("Go on?", abort=True)
            put_in_force(catalog, looked.proposal, why)
            draft.forget()
        else:
            draft.forget()
    finally:
        draft.end()


class _Draft:
    """The text that is being edited, in a file of its own."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.original = text
        self.text = text

    def edit(self, problems: Sequence[str]) -> bool:
        """Let the operator change it; whether they did, and left something."""
        hint = f"# yaml-language-server: $schema={self.path.with_name('schema.json')}"
        notes = [f"{_MARK} {line}" for line in (*_HELP, *problems)]
        self.path.write_text("\n".join([hint, *notes, self.text]), encoding="utf-8")
        click.edit(filename=str(self.path))
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith((_MARK, "# yaml-language-server:"))]
        text, before = "".join(kept), self.text
        if text.strip():
            self.text = text
        return bool(text.strip()) and text != before

    def forget(self) -> None:
        """It is applied, or nothing was changed: nobody needs it any more."""
        self.text = self.original

    def end(self) -> None:
        """Say where the text is, if it is worth something; else remove it."""
        self.path.with_name("schema.json").unlink()
        if self.text == self.original:
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()
        else:
            self.path.write_text(self.text, encoding="utf-8")
            click.echo(f"Your text is kept in {self.path}", err=True)


def _edited(catalog: Catalog, draft: _Draft, old: ShardMap) -> Looked | None:
    """A change that can be applied; None if nothing was changed."""
    problems: list[str] = []
    while True:
        if not draft.edit(problems):
            if draft.text == draft.original:
                click.echo("no changes")
                return None
            raise Failed(["given up", *problems], PROBLEMS)
        try:
            asked = read_map(draft.text, old)
        except InvalidMap as error:
            problems = [f"{error.code} {problem}" for problem in error.problems]
            continue
        looked = run(look_at(catalog, old, asked))
        problems = [f"refused: {one}" for one in looked.proposal.refused] + refusal_lines(looked)
        if not problems:
            hindered = named(hindrances(catalog, looked.proposal))
            problems = [f"refused: {one}" for one in hindered]
        if problems:
            continue
        if not looked.proposal.changed:
            draft.forget()
            click.echo("no changes")
            return None
        estimate = run(cost(catalog, looked.proposal))
        click.echo(looked.proposal.text() + (estimate.text() if estimate else ""), nl=False)
        tell(looked)
        return looked
