"""Literals and identifiers mean to PostgreSQL what they meant to us."""

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st

from router.live.preamble import quote_identifier, quote_literal

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"))
TROUBLE = st.lists(st.sampled_from(["'", '"', "\\", "$", ";", "--", "é", "\n", "a"])).map("".join)


async def test_any_text_comes_back_whatever_strings_are_set_to_mean(databases):
    connection = await asyncpg.connect(databases.url("shard_0-a"))

    @settings(max_examples=150, deadline=None)
    @given(texts=st.lists(TEXT | TROUBLE, min_size=1, max_size=20))
    def gather(texts):
        examples.extend(texts)

    examples = []
    gather()
    try:
        for setting in ("on", "off"):
            await connection.execute(f"SET standard_conforming_strings = {setting}")
            await connection.execute("SET escape_string_warning = off")
            for start in range(0, len(examples), 200):
                part = examples[start : start + 200]
                literals = ", ".join(map(quote_literal, part))
                assert await connection.fetchval(f"SELECT ARRAY[{literals}]::text[]") == part
        names = [text for text in examples if 0 < len(text.encode()) < 64]
        for name in names[:200]:
            row = await connection.fetchrow(f"SELECT 1 AS {quote_identifier(name)}")
            assert list(row.keys()) == [name]
    finally:
        await connection.close()
