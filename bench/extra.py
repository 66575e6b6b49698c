"""Whether the packages of `fluxshard[bench]` are there; asked before anything is started."""

import importlib.util
from typing import Final

from bench.errors import ExtraMissing

PACKAGES: Final = {"hdrh": "hdrhistogram", "matplotlib": "matplotlib"}
"""Modules and the packages that bring them."""


def require_extra() -> None:
    """Do nothing, if all are there.

    Raises:
        ExtraMissing: Some are not.
    """
    missing = [
        name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise ExtraMissing(
            f"benchmarks need {' and '.join(missing)}, not installed here",
            hint="pip install 'fluxshard[bench]'",
        )
