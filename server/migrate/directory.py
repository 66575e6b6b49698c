"""The directory of migrations, read from disk."""

from pathlib import Path

from server.migrate.errors import FilesRefused
from server.migrate.files import Migration, read_migrations


def read_directory(directory: Path) -> tuple[Migration, ...]:
    """The migrations of a directory; sub-directories are not looked into.

    Raises:
        FilesRefused: It cannot be read, or holds what is no migration.
    """
    try:
        contents = {
            path.name: path.read_bytes()
            for path in directory.iterdir()
            if path.suffix == ".sql" and path.is_file()
        }
    except OSError as error:
        raise FilesRefused(f"{directory}: {error.strerror}") from error
    return read_migrations(contents)
