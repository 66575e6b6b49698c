"""`fluxshard migrate up` and `down` on a catalog and two shards."""

THERE = "select to_regclass($1) is not null"


async def test_each_statement_runs_where_its_table_is(migrations, orders):
    migrations.write(
        _0001_begin=orders
        + """
        create table countries (code text primary key);
        insert into countries values ('de'), ('fr');
        create table plans (id int primary key);
        create type mood as enum ('ok');
        create view big_orders as select * from orders where total > 1000;
        """
    )

    await migrations.run("up")

    async def where(name):
        return await migrations.everywhere(THERE, name)

    assert await where("orders") == [False, True, True]
    assert await where("countries") == [False, True, True]
    assert await where("big_orders") == [False, True, True]
    assert await where("plans") == [True, False, False]
    assert await migrations.everywhere("select to_regtype('mood') is not null") == [True] * 3
    assert await migrations.ask("shard_1-a", "select count(*) from countries") == 2
    assert await migrations.states() == {1: ("applied",) * 3}
