"""Who runs this program, as the histories of maps, moves and migrations have it."""

import getpass
import os
import socket


def author() -> str:
    """User and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
