"""How PostgREST calls its settings in its file and its database: each has a name in the environment."""

import re
from typing import Final

PREFIX: Final = "PGRST_"
APP_SETTING: Final = "PGRST_APP_SETTINGS_"


def environment_name(name: str) -> str | None:
    """The name in the environment of `db-uri`, `app.settings.x` or `pgrst.db_schemas`; None: it is none."""
    if name.startswith("app.settings."):
        return APP_SETTING + name.removeprefix("app.settings.")
    if name.startswith("pgrst."):
        return PREFIX + name.removeprefix("pgrst.").upper()
    if re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", name):
        return PREFIX + name.replace("-", "_").upper()
    return None
