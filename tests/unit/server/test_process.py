import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.auth import verified_claims
from server.cli import main
from server.configuration.forms import ListenAddress
from server.errors import CannotListen
from server.lifecycle import Lifecycle
from server.mapuse import MapInUse
from server.services import backend_settings
from server.settings import DatabaseSettings, HttpSettings, ProcessSettings, Settings
from server.startup import runtime, shortcomings
from server.state import last_good_copy, state_directory
from server.workers.listening import listen, shown
from server.workers.run_directory import run_directory

SECRET = "s" * 32
ENVIRON = {"DATABASE_URL": "postgres://u:pw@db:5432/x", "FLUXBASE_AUTH_JWT_SECRET": SECRET}


def settings(**database):
    database = {"url": "postgres://u:pw@db:5432/x", **database}
    return Settings(database=DatabaseSettings(**database))


class TestConnectionsOfOneWorker:
    @pytest.mark.parametrize(
        ("most", "least", "workers", "expected"),
        [(25, 5, 1, (24, 5)), (25, 5, 4, (5, 2)), (2, 2, 1, (1, 1)), (8, 0, 4, (1, 0))],
    )
    def test_the_ceiling_holds_for_all_workers_with_their_probes(
        self, most, least, workers, expected
    ):
        found = backend_settings(settings(max_connections=most, min_connections=least), workers)

        assert (found.max_connections, found.min_connections) == expected
        assert workers * (found.max_connections + 1) <= most

    def test_the_time_of_a_request_is_the_time_of_its_statements(self):
        found = backend_settings(Settings(http=HttpSettings(request_timeout_s=7)), 1)

        assert found.statement_timeout_s == 7


class TestState:
    def test_it_is_where_the_setting_says(self, tmp_path):
        chosen = Settings(process=ProcessSettings(state_dir=str(tmp_path)))

        assert last_good_copy(chosen).path == tmp_path / "last-good-map.json"

    def test_each_catalog_has_a_directory_of_its_own_and_its_password_does_not_count(self):
        def directory(url):
            environ = {"XDG_STATE_HOME": "/state"}
            return state_directory(Settings(database=DatabaseSettings(url=url), environ=environ))

        first = directory("postgres://u:one@db:5432/x")

        assert first.parent == Path("/state/fluxshard")
        assert first == directory("postgres://u:two@db:5432/x")
        assert first != directory("postgres://u:one@db:5432/y")

    def test_without_a_setting_it_is_in_the_users_state(self):
        assert state_directory(settings()).parent == Path("~/.local/state/fluxshard").expanduser()


class TestListening:
    def test_workers_share_a_port_that_the_system_chose(self):
        sockets = listen(ListenAddress("127.0.0.1", 0), 3)

        try:
            assert len({bound.getsockname() for bound in sockets}) == 1
            assert shown(sockets[0]) == f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            with socket.create_connection(sockets[0].getsockname(), timeout=5):
                pass
        finally:
            for bound in sockets:
                bound.close()

    def test_every_address_is_both_kinds_of_address(self):
        (bound,) = listen(ListenAddress("", 0), 1)

        with bound, socket.create_connection(("127.0.0.1", bound.getsockname()[1]), timeout=5):
            pass

    def test_a_port_that_is_taken_is_refused_by_name(self):
        (bound,) = listen(ListenAddress("127.0.0.1", 0), 1)

        with bound:
            address = ListenAddress("127.0.0.1", bound.getsockname()[1])
            with pytest.raises(CannotListen, match=f"{address}: Address already in use"):
                listen(address, 2)

    def test_a_host_that_does_not_exist_is_refused_by_name(self):
        with pytest.raises(CannotListen, match="cannot listen on"):
            listen(ListenAddress("no-such-host.invalid", 0), 1)


class TestRunDirectory:
    def test_it_is_private_and_gone_at_the_end(self):
        with run_directory() as directory:
            (directory / "file").write_text("x")

            assert directory.stat().st_mode & 0o777 == 0o700
        assert not directory.exists()

    def test_one_that_is_in_use_is_left_alone(self):
        with run_directory() as first, run_directory() as second:
            assert first.exists()
            assert second.exists()

    def test_one_whose_server_was_killed_is_removed(self):
        with run_directory() as directory:
            abandoned = directory.with_name(f"fluxshard-run-test-{os.getpid()}")
            abandoned.mkdir()
            (abandoned / "lock").touch()
            (abandoned / "x.floors").touch()

        with run_directory():
            assert not abandoned.exists()


class TestDraining:
    async def test_nothing_in_flight_is_settled(self):
        lifecycle = Lifecycle()
        lifecycle.draining = True

        await lifecycle.settled()

    async def test_it_is_settled_when_the_last_request_ends(self):
        lifecycle = Lifecycle()
        lifecycle.begin()
        lifecycle.begin()
        lifecycle.draining = True
        waiting = asyncio.ensure_future(lifecycle.settled())
        await asyncio.sleep(0)

        lifecycle.end()
        await asyncio.sleep(0)
        assert not waiting.done()
        lifecycle.end()

        await asyncio.wait_for(waiting, 5)


class TestTheMapInUse:
    async def test_it_changes_when_the_backends_know_its_servers(self):
        known = asyncio.Event()

        async def prepare(_newer):
            await known.wait()

        async with MapInUse("first", prepare) as in_use:
            in_use.adopt("second")
            await asyncio.sleep(0)
            assert in_use.current() == "first"
            known.set()
            await until(lambda: in_use.current() == "second")

    async def test_of_maps_that_arrive_meanwhile_only_the_newest_counts(self):
        prepared, known = [], asyncio.Event()

        async def prepare(newer):
            prepared.append(newer)
            await known.wait()

        async with MapInUse("first", prepare) as in_use:
            in_use.adopt("second")
            await until(lambda: prepared)
            in_use.adopt("third")
            in_use.adopt("fourth")
            known.set()
            await until(lambda: in_use.current() == "fourth")

        assert prepared == ["second", "fourth"]


async def until(condition):
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


class TestWhatIsMissing:
    def test_this_machine_has_the_compiled_parser_and_uvloop(self):
        assert list(shortcomings()) == []

    def test_a_parser_that_is_not_compiled_is_one_sentence(self, monkeypatch):
        monkeypatch.setattr("server.startup._COMPILED", "orjson.no_such_module")

        (sentence,) = shortcomings()

        assert "sqlglotc" in sentence

    def test_versions_are_told(self):
        assert runtime()["python"] == ".".join(map(str, sys.version_info[:3]))
        assert runtime()["version"] != "none"


class TestCommands:
    def run(self, *arguments, environ=None):
        return CliRunner().invoke(main, arguments, env={**ENVIRON, **(environ or {})})

    def test_a_token_is_made_for_a_tenant(self):
        found = self.run(
            "token", "--tenant", "7", "--sub", "u", "--session", "s", "--expires", "1h"
        )

        claims = verified_claims(found.output.strip(), SECRET)
        assert claims["exp"] - claims["iat"] == 3600
        assert {
            name: claims[name] for name in ("iss", "role", "tenant_id", "sub", "session_id")
        } == {
            "iss": "fluxbase",
            "role": "authenticated",
            "tenant_id": "7",
            "sub": "u",
            "session_id": "s",
        }

    def test_a_token_may_hold_more_claims_and_never_expire(self):
        found = self.run(
            "token", "--role", "service_role", "--expires", "0", "--claims", '{"a": [1]}'
        )

        claims = verified_claims(found.output.strip(), SECRET)
        assert (claims["role"], claims["a"]) == ("service_role", [1])
        assert "exp" not in claims

    def test_the_tenant_goes_into_the_claim_of_the_settings(self):
        found = self.run("token", "--tenant", "7", environ={"FLUXSHARD_TENANT_CLAIM": "org"})

        assert verified_claims(found.output.strip(), SECRET)["org"] == "7"

    def test_a_token_needs_no_database(self):
        found = CliRunner().invoke(main, ["token"], env={"FLUXBASE_AUTH_JWT_SECRET": SECRET})

        assert found.exit_code == 0

    @pytest.mark.parametrize(
        "options", [("--expires", "soon"), ("--claims", "{"), ("--claims", "[1]")]
    )
    def test_wrong_options_are_told(self, options):
        assert self.run("token", *options).exit_code == 2

    def test_settings_in_effect_are_printed_without_secrets(self):
        found = self.run("config", environ={"FLUXSHARD_WORKERS": "3", "FLUXSHARD_WORKER": "4"})

        assert found.exit_code == 0
        assert "FLUXSHARD_WORKERS=3\n" in found.output
        assert "DATABASE_URL=postgres://u:********@db:5432/x\n" in found.output
        assert "# FLUXBASE_API_MAX_PAGE_SIZE=1000\n" in found.output
        assert SECRET not in found.output
        assert "did you mean FLUXSHARD_WORKERS?" in found.stderr

    def test_wrong_settings_are_told_and_end_with_2(self):
        found = self.run("config", environ={"FLUXSHARD_WORKERS": "x"})

        assert found.exit_code == 2
        assert found.stderr == "setting FLUXSHARD_WORKERS: 'x' is no whole number\n"

    def test_the_table_of_settings_can_be_printed(self):
        assert "| `FLUXSHARD_WORKERS` |" in self.run("config", "--table").output

    def test_a_settings_file_counts(self, tmp_path):
        file = tmp_path / "f.env"
        file.write_text("FLUXSHARD_WORKERS=5\n")

        assert "FLUXSHARD_WORKERS=5\n" in self.run("config", "--config", str(file)).output
