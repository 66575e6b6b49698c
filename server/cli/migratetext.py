"""Migrations in words and as JSON: status, plans, findings, progress, drift."""

from collections.abc import Iterable, Sequence
from typing import Any

from server.migrate.apply import Progress
from server.migrate.files import Migration
from server.migrate.findings import Finding
from server.migrate.operations import Checked, Planned, Surveyed
from server.migrate.plan import Direction, Entry, State, Work


def status_document(migrations: Sequence[Migration], found: Surveyed) -> dict[str, Any]:
    """Each version and how far it is in each database."""
    return {
        "databases": list(found.ledgers),
        "versions": [
            {
                "version": version,
                "name": name,
                "databases": {
                    database: _entry(ledger.get(version))
                    for database, ledger in found.ledgers.items()
                },
            }
            for version, name in _versions(migrations, found)
        ],
        "problems": list(found.problems),
    }


def status_text(migrations: Sequence[Migration], found: Surveyed) -> str:
    """The same as a table."""
    rows = [("VERSION", "NAME", *(name.upper() for name in found.ledgers))]
    rows += [
        (
            str(version),
            name,
            *(_state(ledger.get(version)) for ledger in found.ledgers.values()),
        )
        for version, name in _versions(migrations, found)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in rows
    )


def plan_document(plan: Planned) -> dict[str, Any]:
    """What is to be run, in order."""
    return {
        "works": [_work(work) for work in plan.works],
        "findings": [finding.document() for finding in plan.findings],
    }


def plan_text(plan: Planned) -> str:
    """The same for people: each statement under the database in which it would run."""
    if not plan.works:
        return "nothing to do\n"
    lines: list[str] = []
    for work in plan.works:
        lines.append(f"{work.script.file}  {work.database.name}{_resumed(work)}")
        for position, step in enumerate(work.steps):
            done = "done already: " if position < work.done else ""
            alone = "" if step.transaction else "  -- outside of a transaction"
            lines += [
                f"    {done}{' '.join(one.statement.text.split())};{alone}"
                for one in step.statements
            ]
        if not work.steps:
            lines.append("    -- nothing: its tables are elsewhere")
    return "".join(f"{line}\n" for line in lines)


def progress_text(progress: Progress) -> str | None:
    """One line for what has just happened, or None: not worth one."""
    work = progress.work
    place = f"{work.migration}  {work.database.name}"
    match progress.event:
        case "begun":
            return f"{place}  goes on behind step {work.done}" if work.done else None
        case "waiting":
            return f"{place}  waits: {progress.detail}"
        case "rebuilt":
            return f"{place}  builds anew {progress.detail}"
        case _:
            what = "undone" if work.direction is Direction.DOWN else "applied"
            return f"{place}  {what} in {progress.seconds:.2f} s"


def findings_text(findings: Iterable[Finding]) -> list[str]:
    """One line each."""
    return [str(finding) for finding in findings]


def checked_document(found: Checked) -> dict[str, Any]:
    """In what databases differ."""
    return {
        "drifted": found.drifted,
        "differences": [difference.document() for difference in found.differences],
        "problems": list(found.problems),
    }


def _versions(migrations: Sequence[Migration], found: Surveyed) -> list[tuple[int, str]]:
    names = {
        version: entry.name
        for ledger in found.ledgers.values()
        for version, entry in ledger.items()
    }
    names |= {migration.version: migration.name for migration in migrations}
    return sorted(names.items())


def _entry(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "state": entry.state.value,
        "steps": entry.steps,
        "done": len(entry.done),
        "checksum": entry.checksum,
        "started_at": entry.started_at.isoformat(),
        "finished_at": entry.finished_at.isoformat() if entry.finished_at is not None else None,
        "duration_s": entry.duration_s,
        "by": entry.by,
    }


def _state(entry: Entry | None) -> str:
    if entry is None:
        return "-"
    if entry.state is State.APPLIED:
        return "applied"
    return f"{entry.state} {len(entry.done)} of {entry.steps}"


def _resumed(work: Work) -> str:
    return f"  ({work.done} of {len(work.steps)} steps are done)" if work.done else ""


def _work(work: Work) -> dict[str, Any]:
    return {
        "version": work.migration.version,
        "name": work.migration.name,
        "file": work.script.file,
        "direction": work.direction.value,
        "database": work.database.name,
        "steps_done": work.done,
        "steps": [
            {
                "transaction": step.transaction,
                "statements": [one.statement.text for one in step.statements],
            }
            for step in work.steps
        ],
    }
