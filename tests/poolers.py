"""A real PgBouncer in front of servers, for tests of what it does to sessions.

`with pgbouncer(directory, endpoints, mode="transaction") as front:` runs one; `front(endpoint)`
gives the endpoint as a map would name it behind the pooler. Skips the test where there is none.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from server.embedded.account import server_account
from shardmap import Endpoint, Place, Pooling, ShardMap, resolve

PORT = 6432
START_LIMIT_S = 30

Front = Callable[..., Endpoint]


def program() -> str:
    """Where the program is; where it is not, the test is skipped."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        message = "PgBouncer is not installed (Debian: pgbouncer)"
        if os.environ.get("FLUXSHARD_TESTS_ALLOW_SKIP") == "no":
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def pgbouncer(
    directory: Path, endpoints: Iterable[Endpoint], *, mode: str, **options: object
) -> Iterator[Front]:
    """PgBouncer with one database for each endpoint, at a socket in the directory."""
    executable = program()
    declared = Pooling(mode)
    directory.mkdir()
    account = server_account(directory / "none")
    settings: Mapping[str, object] = {
        "unix_socket_dir": directory,
        "listen_port": PORT,
        "pool_mode": mode,
        "auth_type": "scram-sha-256",
        "auth_file": directory / "users",
        "max_client_conn": 500,
        "default_pool_size": 3,  # fewer than our own: sessions change hands all the time
        "max_prepared_statements": None,
        **options,
    }
    lines = ["[databases]"]
    logins = set()
    for each in endpoints:
        lines.append(f"{_alias(each)} = host={each.host} port={each.port} dbname={each.database}")
        login = resolve(each, os.environ)
        logins.add(f'"{login.user}" "{login.password}"')
    lines.append("[pgbouncer]")
    lines += [f"{name} = {value}" for name, value in settings.items() if value is not None]
    (directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    (directory / "users").write_text("\n".join(sorted(logins)) + "\n")
    account.owns(directory, directory / "pgbouncer.ini", directory / "users")
    directory.chmod(0o711)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [executable, directory / "pgbouncer.ini"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **account.process_options,
        )
    try:
        until = time.monotonic() + START_LIMIT_S
        while not (directory / f".s.PGSQL.{PORT}").exists():
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail((directory / "log").read_text())
            time.sleep(0.01)

        def front(
            endpoint: Endpoint, pooling: Pooling = declared, *, direct: bool = True
        ) -> Endpoint:
            return replace(
                endpoint,
                host=str(directory),
                port=PORT,
                database=_alias(endpoint),
                pooling=pooling,
                direct=Place(*endpoint.address) if direct else None,
            )

        yield front
    finally:
        process.terminate()
        process.wait()


def _alias(endpoint: Endpoint) -> str:
    return endpoint.name.replace("-", "_")


def behind(front: Front, shard_map: ShardMap, *how: Pooling, **options: bool) -> ShardMap:
    """The map with every shard's servers behind the pooler."""
    shards = {
        shard.id: replace(
            shard,
            primary=front(shard.primary, *how, **options),
            replicas=tuple(front(each, *how, **options) for each in shard.replicas),
        )
        for shard in shard_map.shards.values()
    }
    return replace(shard_map, shards=shards)
