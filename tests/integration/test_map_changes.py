"""Changing the map by command: in an editor, back to an older epoch, and what moves would cost."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from server.catalog import connected
from shardmap import AuditLog, Pin, Sharded, ShardId, TableName, TenantId, read_map, slot_of

ORDERS = """
create table public.orders (tenant_id int not null, id int, note text, primary key (tenant_id, id))
"""


@pytest.fixture
def editor(tmp_path):
    """`editor(*scripts)` is an $EDITOR that runs one script at each call: `sed` on the file."""

    def write(*scripts):
        calls = tmp_path / "calls"
        calls.write_text("0")
        lines = "\n".join(f"{number}) {script} ;;" for number, script in enumerate(scripts))
        program = tmp_path / "editor"
        program.write_text(
            f"#!/bin/sh\nn=$(cat {calls})\necho $((n + 1)) > {calls}\n"
            f'echo "$1" > {tmp_path}/path\ncp "$1" {tmp_path}/seen.$n\ncase $n in\n{lines}\nesac\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return {"EDITOR": str(program), "VISUAL": None}

    return write


async def audit(databases):
    async with connected(databases.endpoints.catalog.primary, {}) as session:
        return await AuditLog(session).newest()


async def test_an_edited_map_is_applied_with_its_reason_and_noted(
    applied, fluxshard, databases, editor, tmp_path
):
    script = f"""sed -i 's/^pins: {{}}/pins: {{"7": {applied.owner("7")}}}/' "$1" """

    result = await fluxshard(
        "map", "edit", env=databases.environment | editor(script), stdin="seven stays\ny\n"
    )

    newest = read_map((await fluxshard("map", "get")).stdout)
    noted, first = await audit(databases)
    listed = await fluxshard("audit", "--action", "map")
    seen = (tmp_path / "seen.0").read_text()
    assert result.exit_code == 0, result.output
    assert newest.pins.keys() == {"7"}
    assert result.stdout.splitlines()[
        0
    ] == f"+ pins.7: pinned to {applied.owner('7')}, stays on " + (applied.owner("7"))
    assert listed.stdout.splitlines()[1].endswith("  cli  map apply  epoch 2  seven stays")
    assert seen.startswith("# yaml-language-server: $schema=")
    assert (noted.entry.action, noted.entry.subject, noted.entry.reason) == (
        "map apply",
        "epoch 2",
        "seven stays",
    )
    assert (noted.entry.via, noted.entry.details["epoch"], first.entry.reason) == (
        "cli",
        2,
        "begin",
    )


async def test_problems_come_back_as_comments_until_they_are_solved(
    applied, fluxshard, databases, editor, tmp_path
):
    wrong = """sed -i 's/^shards:/shrads:/' "$1" """
    moving = (
        f"""sed -i 's/^shrads:/shards:/; s/^pins: {{}}/pins: {{"7": {other(applied)}}}/' "$1" """
    )
    right = f"""sed -i 's/^pins: .*/pins: {{"7": {applied.owner("7")}}}/; s/^  "7": .*//' "$1" """

    result = await fluxshard(
        "map", "edit", "--reason", "x", "--yes",
        env=databases.environment | editor(wrong, moving, right),
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert (
        "#: M102 shrads: is unknown here; did you mean shards?" in (tmp_path / "seen.1").read_text()
    )
    assert "refused" in (tmp_path / "seen.2").read_text()
    assert read_map((await fluxshard("map", "get")).stdout).owner("7") == applied.owner("7")


def other(shard_map, tenant="7"):
    return next(shard for shard in shard_map.shards if shard != shard_map.owner(tenant))


async def test_a_text_that_could_not_be_applied_is_kept(
    applied, fluxshard, databases, editor, tmp_path
):
    result = await fluxshard(
        "map",
        "edit",
        env=databases.environment | editor("""sed -i 's/^shards:/shrads:/' "$1" """, ":"),
    )

    kept = edited_file(tmp_path)
    assert result.exit_code == 1
    assert f"Your text is kept in {kept}" in result.stderr
    assert "shrads:" in kept.read_text()
    assert "#:" not in kept.read_text()
    kept.unlink()
    kept.parent.rmdir()


def edited_file(tmp_path):
    return Path((tmp_path / "path").read_text().strip())


@pytest.mark.parametrize("script", [":", """: > "$1" """])
async def test_an_edit_that_changes_nothing_leaves_nothing(
    applied, fluxshard, databases, editor, tmp_path, script
):
    result = await fluxshard("map", "edit", env=databases.environment | editor(script))

    assert (result.exit_code, result.stdout) == (0, "no changes\n")
    assert not edited_file(tmp_path).parent.exists()


async def test_an_older_epoch_is_put_in_force_again_as_a_new_one(applied, fluxshard, document):
    pinned = replace(applied, pins={TenantId("7"): Pin(applied.owner(TenantId("7")))})
    await fluxshard("map", "apply", document(pinned), "--reason", "pin", "--yes")

    shown = await fluxshard("map", "rollback", "1", "--reason", "no", "--dry-run")
    result = await fluxshard("map", "rollback", "1", "--reason", "no", "--yes")
    difference = await fluxshard("map", "diff", "1")
    both = await fluxshard("map", "diff", "1", "2", "--json")
    absent = await fluxshard("map", "diff", "9")

    newest = read_map((await fluxshard("map", "get")).stdout)
    assert shown.stdout.splitlines()[0].startswith("- pins.7: unpinned from")
    assert (result.exit_code, newest.epoch, newest.pins) == (0, 3, {})
    assert newest.slot_epochs == {slot_of("7"): 3}
    assert difference.stdout == f"+ slot_epochs.{slot_of('7')}: 3\n"
    assert json.loads(both.stdout)["pins"][0]["after"] == applied.owner("7")
    assert (absent.exit_code, absent.stderr) == (1, "there is no epoch 9\n")


async def test_the_plan_of_a_move_counts_tenants_rows_and_bytes(
    applied, fluxshard, document, databases
):
    await databases.execute(ORDERS, "shard_0", "shard_1")
    placed = applied_with_orders(applied)
    await fluxshard("map", "apply", document(placed), "--reason", "place", "--yes")
    tenants = [TenantId(str(one)) for one in range(20)]
    for shard in ("shard_0", "shard_1"):
        own = ",".join(one for one in tenants if applied.owner(one) == shard)
        await databases.execute(
            "insert into orders select tenant, id, repeat('x', 100)"
            f" from unnest(array[{own}]) tenant, generate_series(1, 50) id",
            shard,
        )
    leaving = [one for one in tenants if applied.owner(one) == "shard_1"]
    emptied = replace(placed, epoch=2, slots=(ShardId("shard_0"),) * 4096)

    as_json = await fluxshard("map", "plan", document(emptied), "--json")
    text = await fluxshard("map", "plan", document(emptied))

    estimate = json.loads(as_json.stdout)["estimate"]
    assert (estimate["tenants"], estimate["rows"]) == (len(leaving), 50 * len(leaving))
    assert 130 <= estimate["bytes"] / estimate["rows"] <= 150
    assert estimate["not_counted"] == []
    assert f"in all {len(leaving)} tenants, {50 * len(leaving):,} rows" in text.stdout
    assert "writes of a unit wait for about 0.12 s" in text.stdout


def applied_with_orders(shard_map):
    return replace(shard_map, tables={TableName("public.orders"): Sharded("tenant_id")})


async def test_the_schema_is_printed_for_editors(fluxshard):
    result = await fluxshard("map", "schema", env={})

    assert json.loads(result.stdout)["title"] == "Fluxshard shard map"
