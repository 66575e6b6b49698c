"""A CPU quota for each server by control groups, of version 1 or 2.

The kernel gives each group its share of every period; short periods make the limit smooth. The
groups are made for the time of a measurement, and removed.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.errors import LimitUnavailable
from bench.processes import descendants

PERIOD_US: Final = 10_000
"""The kernel's default is 100 ms: a server would work for some milliseconds and then stand still for
the rest of it, which is what the latencies would show."""

LEAST_QUOTA_US: Final = 1_000
"""The kernel takes no less; for small shares the period is longer instead."""

ROOTS: Final = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))


@contextmanager
def limited(servers: Iterable[tuple[str, int]], share: float) -> Iterator[None]:
    """Each server (by name and postmaster) in a group with so much of one core.

    Raises:
        LimitUnavailable: Control groups cannot be made here.
    """
    made: list[Path] = []
    try:
        for name, pid in servers:
            group = _place() / f"fluxshard-bench-{os.getpid()}-{name}"
            group.mkdir()
            made.append(group)
            _set(group, share)
            for each in (pid, *descendants(pid)):
                with suppress(ProcessLookupError):  # it ended meanwhile
                    (group / "cgroup.procs").write_text(str(each))
        yield
    except OSError as error:
        raise LimitUnavailable(
            f"a CPU quota needs control groups that can be written: {error}",
            hint="--limit service:8ms*2 needs nothing",
        ) from error
    finally:
        for group in made:
            _remove(group)


def _place() -> Path:
    """Where groups that limit CPU are made."""
    version_1, version_2 = ROOTS
    return version_1 if (version_1 / "cpu.cfs_quota_us").exists() else version_2


def _set(group: Path, share: float) -> None:
    period_us = max(PERIOD_US, round(LEAST_QUOTA_US / share))
    quota_us = round(share * period_us)
    if (group / "cpu.cfs_quota_us").exists():
        (group / "cpu.cfs_period_us").write_text(str(period_us))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))
    else:
        (group / "cpu.max").write_text(f"{quota_us} {period_us}")


def _remove(group: Path) -> None:
    """Give the processes back to the parent group, and remove it."""
    with suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):
                (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()
