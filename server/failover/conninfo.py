"""Connection strings of replicas: pointed at another primary, or told as commands. Pure."""

from collections.abc import Sequence


def pointed_at(conninfo: str, host: str, port: int) -> str | None:
    """The same string for another server; None: it is a URI, or empty, and has to be written anew.

    Of a keyword that is there twice libpq takes the last one, so whatever else it says is kept.
    """
    text = conninfo.strip()
    if not text or text.startswith(("postgres://", "postgresql://")):
        return None
    return f"{text} hostaddr='' host={word(host)} port={port}"


def word(value: str) -> str:
    """A value of a connection string."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def following_by_hand(name: str, host: str, port: int, slot: str) -> Sequence[str]:
    """The SQL by which an operator lets a replica follow another primary."""
    source = f"host={word(host)} port={port} user=<replication user> application_name={word(name)}"
    lines = [f"-- on {name}, as a superuser; with the password, or a passfile, of that user:"]
    if slot:
        lines.append(
            f"-- (on the new primary first: SELECT pg_create_physical_replication_slot('{slot}');)"
        )
    quoted = source.replace("'", "''")
    return [
        *lines,
        f"ALTER SYSTEM SET primary_conninfo = '{quoted}';",
        "SELECT pg_reload_conf();",
    ]


def rejoining_by_hand(name: str, directory: str | None, host: str, port: int) -> Sequence[str]:
    """The commands that turn an old primary into a replica of the new one."""
    data = directory or "$PGDATA"
    source = f"host={host} port={port} user=<superuser> dbname=postgres"
    follow = f"host={host} port={port} user=<replication user> application_name={name}"
    return [
        f"# on the machine of {name}, as the account that PostgreSQL runs as:",
        f'pg_ctl stop -D "{data}" -m fast    # if it runs',
        f'pg_rewind --target-pgdata "{data}" --source-server "{source}"',
        f'touch "{data}/standby.signal"',
        f'echo "primary_conninfo = \'{follow}\'" >> "{data}/postgresql.auto.conf"',
        f'pg_ctl start -D "{data}"',
    ]
