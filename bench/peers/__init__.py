"""Other ways to the same rows: pgbench, asyncpg, PgBouncer, HAProxy and Pgpool-II, beside Fluxshard."""

from bench.peers.contest import ALL, Contest, contest

__all__ = ["ALL", "Contest", "contest"]
