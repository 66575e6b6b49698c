"""A process that ends when its parent does, even if the parent is killed."""

import ctypes
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends (Linux, prctl(2)); elsewhere do nothing.

    Fit for `preexec_fn`. The setting survives exec, not a change of user.
    """
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
