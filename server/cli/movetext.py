"""Moves as people read them: plans, lists, and progress that stays on one line of a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from server.moves import Move, MovePlan, Progress, State


class Screen:
    """Shows progress: a line for each state, and one that is written over while rows are copied."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._states: dict[int, State] = {}
        self._over = sys.stderr.isatty() and not as_json

    def __call__(self, progress: Progress) -> None:
        """Show how far a move is."""
        if self._as_json:
            click.echo(json.dumps(progress.document()))
            return
        fresh = self._states.get(progress.move) != progress.state
        self._states[progress.move] = progress.state
        text = progress_text(progress)
        if self._over:
            click.echo(f"\r\x1b[K{text}", nl=fresh, err=True)
        elif fresh or progress.note:
            click.echo(text, err=True)


def progress_text(progress: Progress) -> str:
    """One line."""
    words = [
        f"move {progress.move}",
        progress.title,
        f"{progress.source} → {progress.target}",
        progress.state.value,
    ]
    if progress.rows:
        words.append(
            f"{progress.rows:,} of about {progress.rows_expected:,} rows, {size_text(progress.bytes)}"
        )
    if progress.lag_bytes:
        words.append(f"{size_text(progress.lag_bytes)} behind")
    if progress.eta_s is not None:
        words.append(f"{progress.eta_s:.0f} s left")
    if progress.pause_s is not None:
        words.append(f"writers waited {progress.pause_s * 1000:.0f} ms")
    if progress.note:
        words.append(progress.note)
    return "  ".join(words)


def plan_text(plans: Sequence[MovePlan], max_pause_s: float) -> str:
    """What would move, and what is in the way."""
    lines = []
    for plan in plans:
        lines.append(
            f"{plan.title}: {plan.source} → {plan.target}, about {plan.rows:,} rows,"
            f" {size_text(plan.bytes)}, {plan.seconds:.0f} s; writers wait at most {max_pause_s * 1000:.0f} ms at a time"
        )
        lines += [f"  refused: {problem}" for problem in plan.problems]
    return "\n".join(lines)


def moves_text(moves: Iterable[Move]) -> str:
    """A table of moves."""
    rows = [("ID", "WHAT", "FROM", "TO", "STATE", "SINCE", "NOTE")]
    rows += [
        (
            str(move.id),
            move.title,
            move.source,
            move.target,
            move.state.value + (" (paused)" if move.paused else ""),
            f"{move.changed_at:%Y-%m-%d %H:%M:%S}" if move.changed_at else "",
            move.note[:60],
        )
        for move in moves
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def move_text(move: Move, steps: Iterable[dict[str, Any]]) -> str:
    """One move with its transitions."""
    lines = [f"move {move.id}: {move.title}, {move.source} → {move.target}, {move.state}"]
    if move.paused:
        lines.append("paused")
    if move.note:
        lines.append(move.note)
    lines += [f"{name}: {value}" for name, value in sorted(move.facts.items())]
    lines += [
        f"{step['at'][:23]}  lease {step['lease']}  {step['state']}"
        + (f"  {json.dumps(step['facts'])}" if step["facts"] else "")
        for step in steps
    ]
    return "\n".join(lines)


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
