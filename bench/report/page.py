"""A result as one page of HTML that needs nothing else: figures, plots, table and notes."""

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from bench.environment import in_words
from bench.result import Result

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
img { max-width: 100%; border: 1px solid #e3e3e3; margin: .4rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { border: 1px solid #ddd; padding: .25rem .6rem; text-align: left }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 12.5px }
.where { color: #555 }
"""


def page(result: Result, text: str, images: Mapping[str, bytes]) -> str:
    """The page; `text` is the table of the terminal."""
    title = escape(result.title)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>",
        f'<p class="where">{escape(in_words(result.environment))}; {escape(result.made_at)};',
        f" <code>fluxshard bench {escape(result.command)}</code></p>",
        *(f"<h2>Figures</h2>{_rows(result.figures)}" for _ in range(bool(result.figures))),
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in result.notes) + "</ul>",
        *(
            f'<img alt="{escape(name)}" src="data:image/png;base64,'
            f'{base64.b64encode(image).decode()}">'
            for name, image in images.items()
        ),
        f"<h2>Everything</h2><pre>{escape(text)}</pre>",
        f"<h2>Where</h2><pre>{escape(json.dumps(dict(result.environment), indent=1))}</pre>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _rows(figures: Mapping[str, Any]) -> str:
    """Figures as a table, those within figures as tables of their own."""
    if figures and all(isinstance(value, Mapping) for value in figures.values()):
        columns = list(dict.fromkeys(name for value in figures.values() for name in value))
        if columns:
            head = "".join(f"<th>{escape(_words(column))}</th>" for column in columns)
            body = "".join(
                f"<tr><th>{escape(name)}</th>"
                + "".join(f"<td>{_cell(value.get(column))}</td>" for column in columns)
                + "</tr>"
                for name, value in figures.items()
            )
            return f"<table><tr><th></th>{head}</tr>{body}</table>"
    return "<table>" + "".join(
        f"<tr><th>{escape(_words(name))}</th><td>{_cell(value)}</td></tr>"
        for name, value in figures.items()
    ) + "</table>"  # fmt: skip


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return _rows(value)
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list):
        return f"{len(value)} values" if len(value) > 8 else escape(", ".join(map(str, value)))
    return "" if value is None else escape(str(value))


def _words(name: str) -> str:
    return name.replace("_per_s", "/s").replace("_", " ")
