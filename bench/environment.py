"""Where and with what figures were made; recorded in every result."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("fluxshard", "asyncpg", "aiohttp", "uvloop", "sqlglot")


def environment() -> dict[str, Any]:
    """Machine and versions, as JSON. Nothing that names a user or a path."""
    return {
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "load_before": round(os.getloadavg()[0], 2),
    }


def in_words(found: Mapping[str, Any]) -> str:
    """One line for readers."""
    return (
        f"{found['cores']} cores of {found['processor'] or found['machine']},"
        f" {found['memory_gib']:g} GiB, {found['system']}, Python {found['python']},"
        f" load {found['load_before']:g} before"
    )


def program_version(program: str) -> str:
    """What a program says of its version, or nothing."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ""
    return (
        (done.stdout or done.stderr).strip().splitlines()[0] if done.stdout or done.stderr else ""
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
