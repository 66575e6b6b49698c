"""A result for readers: a table in the terminal, JSON, plots and a page in a directory."""

from pathlib import Path

from bench.report.table import table
from bench.result import Result, write_result

__all__ = ["publish", "table"]


def publish(result: Result, directory: Path | None) -> str:
    """The result as text for the terminal; with a directory everything is written there as well."""
    text = table(result)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        write_result(result, directory / "result.json")
        (directory / "table.txt").write_text(text + "\n", "utf-8")
        text += f"\n\nwritten to {directory}: result.json, table.txt"
    return text
