"""The last good copy: the map on disk that an instance starts from while the catalog is away."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from shardmap.errors import InvalidMap, MapUnavailable
from shardmap.map import ShardMap
from shardmap.source import FileSource
from shardmap.writing import write_json


class LastGoodCopy:
    """One file, replaced as a whole: a reader finds the old map or the new one, never half of one.

    Several workers may share it; an older epoch does not replace a newer one of its cluster.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> ShardMap:
        """The map that was kept.

        Raises:
            MapUnavailable: There is none, or it is no map of this release.
        """
        try:
            return FileSource(self.path).read()
        except InvalidMap as error:
            raise MapUnavailable(f"{self.path} holds no usable map: {error}") from error

    def keep(self, shard_map: ShardMap) -> None:
        """Replace the copy, durably. Waits for the disk: call it from a thread.

        Raises:
            OSError: The directory cannot be written, or the disk is full.
        """
        with suppress(MapUnavailable):
            kept = self.read()
            if kept.cluster_id == shard_map.cluster_id and kept.epoch > shard_map.epoch:
                return
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=directory)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(write_json(shard_map))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
