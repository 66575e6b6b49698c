"""The differential oracle: generated SQL on 1, 2 and 4 shards and on one PostgreSQL."""
