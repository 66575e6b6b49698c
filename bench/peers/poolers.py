"""PgBouncer, HAProxy and Pgpool-II, each started on a Unix socket with a configuration of its own.

Each is found on the PATH; what is not there is named as missing. All run as the account that runs
PostgreSQL, since PgBouncer refuses to be root.
"""

import asyncio
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.environment import program_version
from bench.errors import PeerFailed
from bench.peers.address import Address
from server.embedded import Account

PORT: Final = 6432
WITHIN_S: Final = 20.0
PREPARES_SINCE: Final = (1, 21)
"""The release of PgBouncer whose transaction mode knows prepared statements."""


@dataclass(frozen=True, slots=True)
class Pooler:
    """One of them, as it is installed here."""

    name: str
    program: str
    version: str
    mode: str
    """How `pgbench` may ask through it: `prepared`, or `extended` where that would break."""
    about: str


@dataclass(frozen=True, slots=True)
class Running:
    """A started one."""

    address: Address
    pid: int


def installed(name: str) -> Pooler | None:
    """The pooler, or None: its program is not on the PATH."""
    program = shutil.which(PROGRAMS[name])
    if program is None:
        for directory in ("/usr/sbin", "/usr/local/sbin"):
            program = program or shutil.which(PROGRAMS[name], path=directory)
    if program is None:
        return None
    version = program_version(program)
    if name != "pgbouncer":
        about = "TCP mode, round robin by connection" if name == "haproxy" else "load balancing"
        return Pooler(name, program, version, "prepared", about)
    numbers = re.search(r"(\d+)\.(\d+)", version)
    prepares = numbers is not None and (int(numbers[1]), int(numbers[2])) >= PREPARES_SINCE
    about = "transaction pooling" + ("" if prepares else ", which cannot prepare before 1.21")
    return Pooler(name, program, version, "prepared" if prepares else "extended", about)


@asynccontextmanager
async def running(
    pooler: Pooler, servers: Sequence[Address], directory: Path, clients: int, account: Account
) -> AsyncIterator[Running]:
    """The pooler in front of these servers, run by the account that runs them.

    Raises:
        PeerFailed: It did not start.
    """
    place = directory / pooler.name
    place.mkdir()
    arguments = WRITERS[pooler.name](pooler, servers, place, clients)
    account.owns(place, *place.iterdir())
    log = place / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            pooler.program,
            *arguments,
            stdout=output,
            stderr=output,
            cwd=place,
            **account.process_options,
        )
    try:
        address = servers[0].at(place, PORT)
        await _listening(address, process, log)
        yield Running(address, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _listening(address: Address, process: asyncio.subprocess.Process, log: Path) -> None:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until and process.returncode is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(address.socket) == 0:
                return
        await asyncio.sleep(0.05)
    said = log.read_text(errors="replace")[-500:]
    raise PeerFailed(f"{address.host.rpartition('/')[2]} did not start: {said}")


def _pgbouncer(pooler: Pooler, servers: Sequence[Address], place: Path, clients: int) -> list[str]:
    # before 1.21 it does not start with a setting that it does not know
    prepares = "max_prepared_statements = 200\n" if pooler.mode == "prepared" else ""
    server = servers[0]
    (place / "users").write_text(f'"{server.user}" "{server.password}"\n')
    (place / "pgbouncer.ini").write_text(f"""[databases]
{server.database} = host={server.host} port={server.port} dbname={server.database}
[pgbouncer]
listen_addr =
listen_port = {PORT}
unix_socket_dir = {place}
auth_type = plain
auth_file = {place / "users"}
pool_mode = transaction
default_pool_size = {clients}
max_client_conn = 1000
{prepares}ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
""")
    return [str(place / "pgbouncer.ini")]


def _haproxy(_: Pooler, servers: Sequence[Address], place: Path, clients: int) -> list[str]:
    lines = "\n".join(f"  server s{n} unix@{server.socket}" for n, server in enumerate(servers))
    (place / "haproxy.cfg").write_text(f"""global
  maxconn {clients * 4 + 100}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend postgresql
  bind unix@{place}/.s.PGSQL.{PORT} mode 777
  default_backend servers
backend servers
  balance roundrobin
{lines}
""")
    return ["-f", str(place / "haproxy.cfg"), "-db"]


def _pgpool(_: Pooler, servers: Sequence[Address], place: Path, clients: int) -> list[str]:
    server = servers[0]
    backends = "\n".join(
        f"backend_hostname{n} = '{each.host}'\nbackend_port{n} = {each.port}\n"
        f"backend_weight{n} = 1\nbackend_flag{n} = 'DISALLOW_TO_FAILOVER'"
        for n, each in enumerate(servers)
    )
    (place / "pool_passwd").write_text(f"{server.user}:TEXT{server.password}\n")
    (place / "pool_hba.conf").write_text("local all all trust\n")
    (place / "pcp.conf").write_text("")
    (place / "pgpool.conf").write_text(f"""listen_addresses = ''
port = {PORT}
unix_socket_directories = '{place}'
socket_dir = '{place}'
pcp_socket_dir = '{place}'
pcp_listen_addresses = ''
wd_ipc_socket_dir = '{place}'
pid_file_name = '{place}/pgpool.pid'
logdir = '{place}'
work_dir = '{place}'
{backends}
backend_clustering_mode = 'raw'
load_balance_mode = on
statement_level_load_balance = on
enable_pool_hba = on
pool_passwd = 'pool_passwd'
num_init_children = {clients + 8}
max_pool = 1
connection_cache = on
sr_check_period = 0
health_check_period = 0
memory_cache_enabled = off
log_statement = off
""")
    return [
        *("-n", "-D", "-f", str(place / "pgpool.conf"), "-a", str(place / "pool_hba.conf")),
        *("-F", str(place / "pcp.conf")),
    ]


PROGRAMS: Final = {"pgbouncer": "pgbouncer", "haproxy": "haproxy", "pgpool": "pgpool"}
WRITERS: Final[dict[str, Callable[[Pooler, Sequence[Address], Path, int], list[str]]]] = {
    "pgbouncer": _pgbouncer,
    "haproxy": _haproxy,
    "pgpool": _pgpool,
}
