"""The last good copy, and maps in files."""

import importlib.util
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from shardmap import FileSource, InvalidMap, LastGoodCopy, MapUnavailable, write_yaml

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C


def test_what_is_kept_is_read_back(tmp_path):
    copy = LastGoodCopy(tmp_path / "new" / "map.json")

    copy.keep(maps.two_shards())

    assert copy.read() == maps.two_shards()


def test_only_its_owner_can_read_it_and_nothing_else_is_left(tmp_path):
    copy = LastGoodCopy(tmp_path / "map.json")

    copy.keep(maps.two_shards())

    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["map.json"]


def test_a_newer_epoch_replaces_it_and_an_older_one_does_not(tmp_path):
    copy = LastGoodCopy(tmp_path / "map.json")
    copy.keep(maps.two_shards(epoch=5))

    copy.keep(maps.two_shards(epoch=6))
    copy.keep(maps.two_shards(epoch=4))

    assert copy.read().epoch == 6


def test_the_map_of_another_cluster_replaces_it(tmp_path):
    copy = LastGoodCopy(tmp_path / "map.json")
    copy.keep(maps.two_shards(epoch=5))

    copy.keep(maps.two_shards(epoch=1, cluster_id="other"))

    assert copy.read().cluster_id == "other"


def test_a_copy_that_cannot_be_written_leaves_the_old_one(tmp_path):
    copy = LastGoodCopy(tmp_path / "map.json")
    copy.keep(maps.two_shards(epoch=5))
    unwritable = replace(maps.two_shards(epoch=6), cluster_id="\ud800")

    with pytest.raises(UnicodeEncodeError):
        copy.keep(unwritable)

    assert copy.read().epoch == 5
    assert [path.name for path in tmp_path.iterdir()] == ["map.json"]


@pytest.mark.parametrize("content", [None, "", "{", "version: 1", "\0"])
def test_without_a_usable_copy_there_is_no_map(tmp_path, content):
    copy = LastGoodCopy(tmp_path / "map.json")
    if content is not None:
        copy.path.write_text(content)

    with pytest.raises(MapUnavailable):
        copy.read()


def test_a_damaged_copy_is_replaced(tmp_path):
    copy = LastGoodCopy(tmp_path / "map.json")
    copy.path.write_text("{")

    copy.keep(maps.two_shards())

    assert copy.read() == maps.two_shards()


def test_a_file_is_read_as_a_document(tmp_path):
    file = tmp_path / "map.yaml"
    file.write_text(write_yaml(maps.two_shards()))

    assert FileSource(file).read() == maps.two_shards()


def test_a_file_that_is_no_text_is_an_invalid_map(tmp_path):
    file = tmp_path / "map.yaml"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InvalidMap, match="is not UTF-8"):
        FileSource(file).read()


def test_a_missing_file_is_no_map_at_all(tmp_path):
    with pytest.raises(MapUnavailable, match="No such file"):
        FileSource(tmp_path / "map.yaml").read()
