"""The configuration files of one server, as text."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.embedded.directory import ClusterDirectory
from server.embedded.record import ClusterRecord, ServerRecord, ShardRecord
from server.embedded.spec import Sockets, Tcp
from shardmap import Durability

SUPERUSER: Final = "postgres"
DATABASE: Final = "fluxbase"
HOST: Final = "127.0.0.1"

SETTINGS: Final = {
    # equal on primary and replicas: a replica does not start with less than its primary has
    "max_connections": "200",
    "max_prepared_transactions": "200",  # each connection may have one in a commit on several shards
    "max_worker_processes": "48",
    "max_wal_senders": "64",
    "max_replication_slots": "64",  # two for each move within its retention, and those of replicas
    "max_logical_replication_workers": "32",
    # replication; full_page_writes stays on, else pg_rewind refuses
    "wal_level": "logical",
    "wal_keep_size": "256MB",
    "min_wal_size": "64MB",
    "max_wal_size": "512MB",
    "full_page_writes": "on",
    "hot_standby": "on",
    "hot_standby_feedback": "on",
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_status_interval": "1s",
    "wal_sender_timeout": "15s",
    "wal_receiver_timeout": "15s",
    # many small servers on one machine, or in one container whose /dev/shm is 64 MB; and no
    # segments of killed servers left in /dev/shm
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    # meaning of data
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C.UTF-8",
    "default_text_search_config": "pg_catalog.english",
    "password_encryption": "scram-sha-256",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
}

SETTINGS_SINCE: Final = {
    18: {"io_method": "sync"},  # else three more processes for each server
}

HBA: Final = """\
local  all          all                scram-sha-256
local  replication  all                scram-sha-256
host   all          all  127.0.0.1/32  scram-sha-256
host   replication  all  127.0.0.1/32  scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; `host` is an address or a socket directory."""

    host: str
    port: int


def title(directory: ClusterDirectory, server: str) -> str:
    """The `cluster_name` of a server, shown in its processes' titles.

    Made from the directory, not from the cluster's id: a copy of a cluster is another one.
    """
    digest = hashlib.sha256(os.fsencode(directory.root)).hexdigest()
    return f"{server}@{digest[:8]}"


def address(record: ClusterRecord, sockets: Path, server: ServerRecord) -> Address:
    """Where the server listens."""
    match record.listen:
        case Tcp():
            return Address(HOST, server.port)
        case Sockets():
            return Address(str(sockets), server.port)


def conninfo(at: Address, passfile: Path, **more: str) -> str:
    """How replicas and PostgreSQL's programs connect; the password is in the passfile."""
    words = {
        "host": at.host,
        "port": str(at.port),
        "user": SUPERUSER,
        "dbname": "postgres",
        "passfile": str(passfile),
        "sslmode": "disable",
        **more,
    }
    return " ".join(f"{key}={_conninfo_word(value)}" for key, value in words.items())


def configuration(
    directory: ClusterDirectory, record: ClusterRecord, shard: ShardRecord, server: ServerRecord
) -> str:
    """The text of the server's `postgresql.conf`.

    It follows from the record alone: `synchronous_standby_names` names all others of the shard on
    each of them, so that it holds on a standby from the moment of its promotion.
    """
    settings = {
        "port": str(server.port),
        "cluster_name": title(directory, server.name),
        "unix_socket_permissions": "0777",
        **SETTINGS,
    }
    for since, more in SETTINGS_SINCE.items():
        if record.postgresql >= since:
            settings |= more
    match record.listen:
        case Tcp():
            settings |= {"listen_addresses": HOST, "unix_socket_directories": ""}
        case Sockets():
            settings |= {
                "listen_addresses": "",
                "unix_socket_directories": _quoted(directory.sockets),
            }
    others = [f'"{other.name}"' for other in shard.servers if other.name != server.name]
    quorum = record.durability is Durability.QUORUM and others
    settings["synchronous_standby_names"] = f"ANY 1 ({', '.join(others)})" if quorum else ""
    if server.name != shard.primary:
        settings["primary_conninfo"] = conninfo(
            address(record, directory.sockets, shard.server(shard.primary)),
            directory.passfile,
            application_name=server.name,
        )
    head = "# Written by Fluxshard at each start. Your own settings: ALTER SYSTEM.\n"
    return head + "".join(f"{key} = {_conf_value(value)}\n" for key, value in settings.items())


def _quoted(path: Path) -> str:
    """A path as an element of a list setting."""
    return '"' + str(path).replace('"', '""') + '"'


def _conf_value(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _conninfo_word(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
