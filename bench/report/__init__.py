"""A result for readers: a table in the terminal; JSON, plots and a page in a directory."""

from pathlib import Path

from bench.report.page import page
from bench.report.plots import plots
from bench.report.table import table
from bench.result import Result, write_result

__all__ = ["page", "plots", "publish", "table"]


def publish(result: Result, directory: Path | None) -> str:
    """The result as text for the terminal; with a directory everything is written there as well."""
    text = table(result)
    if directory is None:
        return text
    directory.mkdir(parents=True, exist_ok=True)
    images = plots(result)
    write_result(result, directory / "result.json")
    (directory / "table.txt").write_text(text + "\n", "utf-8")
    (directory / "index.html").write_text(page(result, text, images), "utf-8")
    for name, image in images.items():
        (directory / f"{name}.png").write_bytes(image)
    written = ["result.json", "table.txt", "index.html", *(f"{name}.png" for name in images)]
    return f"{text}\n\nwritten to {directory}: {', '.join(written)}"
