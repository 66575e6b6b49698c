"""What a newcomer sees when the demonstration is ready: address, keys, commands to paste."""

from server.demo.dataset import company_name
from server.demo.screen import Screen
from server.demo.stage import Stage


def show(stage: Stage, screen: Screen) -> None:
    """Prints the address, ready-made keys and first commands."""
    loaded = stage.loaded
    tenants = stage.two_tenants()
    say = screen.say
    say()
    screen.step(f"ready: {loaded.rows:,} rows of {len(loaded.orders)} companies")
    say()
    say(f"  API        {stage.url}/rest/v1  (PostgREST dialect)   {stage.url}/api/v1/tables")
    say(f"  health     {stage.url}/health     metrics {stage.url}/metrics")
    say(f"  log        {stage.log}")
    say(f"  cluster    .venv/bin/fluxshard cluster status --dir {stage.cluster.directory}")
    say()
    for number, tenant in enumerate(tenants):
        home = loaded.home(tenant)
        say(
            f"  # {company_name(tenant)}: tenant {tenant}, {loaded.orders[tenant]:,} orders, {home}"
        )
        say(f"  KEY_{'AB'[number]}={stage.key('authenticated', tenant)}")
    say("  # the service role: every tenant, every shard")
    say(f"  SERVICE={stage.key('service_role')}")
    say()
    say("  Paste the three lines above into a shell, then try:")
    say()
    say(f"  curl -i '{stage.url}/rest/v1/orders?order=total.desc&limit=2' -H \"apikey: $KEY_A\"")
    say(f"  curl -i '{stage.url}/rest/v1/orders?order=total.desc&limit=2' -H \"apikey: $KEY_B\"")
    say(f"  curl -i '{stage.url}/rest/v1/orders?order=total.desc&limit=5' \\")
    say('       -H "apikey: $SERVICE" -H "Prefer: count=exact"')
    say(f"  curl -X POST '{stage.url}/rest/v1/orders' -H \"apikey: $KEY_A\" \\")
    say("       -H 'Content-Type: application/json' -H 'Prefer: return=representation' \\")
    say('       -d \'{"customer_id": 1, "status": "placed", "total": 42}\'')
    say(
        f"  .venv/bin/fluxshard cluster kill shard_0-b --dir {stage.cluster.directory}"
        "   # reads go on"
    )
    say()
    say("  X-Served-By in the answers names the shard and the server behind it.")
    say("  Ctrl-C ends the demonstration and removes what it made.")
