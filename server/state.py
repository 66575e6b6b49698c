"""What an instance keeps on disk between two starts: the last good shard map."""

import hashlib
import os
from pathlib import Path
from typing import Final

from server.settings import Settings
from shardmap import LastGoodCopy, parse_url

_FILE: Final = "last-good-map.json"


def last_good_copy(settings: Settings) -> LastGoodCopy:
    """Where the last good map of this catalog is kept.

    Without `FLUXSHARD_STATE_DIR` each catalog has a directory of its own, named by its address,
    so that servers of several clusters on one machine never start with each other's map.
    """
    return LastGoodCopy(state_directory(settings) / _FILE)


def state_directory(settings: Settings) -> Path:
    """The directory; it need not exist yet."""
    chosen = settings.process.state_dir
    if chosen:
        return Path(chosen)
    environ = settings.environ
    home = environ.get("XDG_STATE_HOME")
    base = Path(home) if home else Path("~/.local/state").expanduser()
    address, _ = parse_url(settings.database.url or "postgres://")
    place = f"{address.host}:{address.port}/{address.database}"
    digest = hashlib.blake2b(os.fsencode(place), digest_size=6).hexdigest()
    return base / "fluxshard" / digest
