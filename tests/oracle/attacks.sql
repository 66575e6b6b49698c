-- One statement per line; \n in it is a line break. See test_other_tenants_change_nothing.py.
SELECT id FROM orders
SELECT * FROM orders o LEFT JOIN items i ON i.tenant_id=o.tenant_id AND i.id=o.id
SELECT * FROM items i RIGHT JOIN orders o ON i.tenant_id=o.tenant_id AND i.order_id=o.id
SELECT o.id, i.id FROM items i FULL JOIN orders o ON i.order_id=o.id+3
SELECT * FROM orders NATURAL JOIN items
SELECT * FROM orders NATURAL LEFT JOIN items
SELECT tenant_id, count(*) FROM orders JOIN items USING (tenant_id) GROUP BY tenant_id
SELECT count(*) FROM orders JOIN items USING (tenant_id, id) WHERE tenant_id = 1
SELECT count(*) FROM orders WHERE (tenant_id, id) = (3, 2)
SELECT count(*) FROM orders WHERE (tenant_id, id) IN ((3, 2),(1,2))
SELECT count(*) FROM orders WHERE tenant_id = 3 IS TRUE
SELECT count(*) FROM orders WHERE tenant_id = 1 IS FALSE
SELECT count(*) FROM orders WHERE NOT (tenant_id = 1 AND id = 2)
SELECT count(*) FROM orders WHERE tenant_id BETWEEN 1 AND 5 OR true
SELECT count(*) FROM orders WHERE true OR tenant_id = 3
SELECT id AS tenant_id FROM orders WHERE tenant_id = 1 ORDER BY tenant_id
SELECT 3 AS tenant_id, id FROM orders GROUP BY tenant_id, id HAVING tenant_id = 1
SELECT o.id FROM orders o, LATERAL (SELECT * FROM items i WHERE i.id = o.id) x
SELECT o.id FROM orders o LEFT JOIN LATERAL (SELECT * FROM items i WHERE i.id = o.id LIMIT 1) x ON true
SELECT o.id, (SELECT count(*) FROM items i WHERE i.order_id = o.id) FROM orders o
SELECT (SELECT count(*) FROM orders)
SELECT ARRAY(SELECT id FROM orders ORDER BY id)
SELECT EXISTS (SELECT FROM orders WHERE tenant_id <> 1)
SELECT 1 WHERE 3 IN (SELECT tenant_id FROM orders)
SELECT 1 WHERE 3 = ANY (SELECT tenant_id FROM orders)
SELECT 1 WHERE (3,2) = ANY (SELECT tenant_id, id FROM orders)
SELECT max(tenant_id) FROM orders
SELECT tenant_id, count(*) FROM orders GROUP BY GROUPING SETS ((tenant_id), ())
SELECT tenant_id, count(*) FROM orders GROUP BY ROLLUP (tenant_id)
SELECT o FROM orders o
SELECT o.* FROM orders o WHERE o IS NOT NULL
SELECT (o).note FROM orders o
SELECT row_to_json(o) FROM orders o
SELECT to_jsonb(orders) FROM orders
SELECT tableoid::regclass FROM orders
SELECT x.id FROM (SELECT * FROM orders) x
SELECT x.id FROM (orders JOIN items USING (tenant_id,id)) AS x
SELECT id FROM (orders JOIN items USING (tenant_id,id))
SELECT o.id FROM (orders o LEFT JOIN items i ON true)
SELECT o.id FROM countries c LEFT JOIN (orders o JOIN items i ON i.id=o.id) ON c.code=o.note
SELECT o.id FROM countries c LEFT JOIN orders o JOIN items i ON i.id=o.id ON c.code=o.note
SELECT id FROM ONLY orders
SELECT id FROM orders *
SELECT id FROM public.orders, LATERAL jsonb_each(data)
SELECT id FROM orders UNION SELECT id+100 FROM items
SELECT id FROM orders EXCEPT SELECT id FROM items WHERE id > 3
SELECT id FROM orders INTERSECT ALL SELECT order_id FROM items
(SELECT id FROM orders ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM items ORDER BY id LIMIT 2) ORDER BY 1
SELECT 1 WHERE 2 IN (SELECT 1 UNION SELECT tenant_id - 1 FROM orders)
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM t WHERE n < (SELECT count(*) FROM orders)) SELECT count(*) FROM t
WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o, items WHERE o.id = items.id
WITH orders AS (SELECT * FROM orders) SELECT count(*) FROM orders
WITH orders(tenant_id, id) AS (SELECT id, tenant_id FROM orders) SELECT count(*) FROM orders WHERE tenant_id = 1
WITH a AS (SELECT count(*) FROM orders), orders AS (SELECT 1) SELECT * FROM a, orders
WITH RECURSIVE a AS (SELECT count(*) AS n FROM orders), orders AS (SELECT 1 AS id) SELECT * FROM a
WITH a AS MATERIALIZED (SELECT * FROM items) SELECT count(*) FROM a
SELECT count(*) FROM (WITH orders AS (SELECT 1 AS id) SELECT * FROM orders) x, orders
SELECT count(*) FROM (WITH items AS (SELECT * FROM orders) SELECT * FROM items) x
SELECT (WITH orders AS (SELECT 7 AS id) SELECT id FROM orders)
(WITH orders AS (SELECT 7 AS id) SELECT id FROM orders) UNION ALL SELECT id FROM orders
SELECT count(*) FROM orders items, items orders
SELECT count(*) FROM orders AS "Orders", "orders"
SELECT count(*) FROM "orders" "O" WHERE "O".tenant_id = 1
SELECT count(*) FROM ORDERS o WHERE O.TENANT_ID=1
SELECT count(*) FROM orders o WHERE EXISTS (SELECT 1 FROM items o WHERE o.tenant_id = 3)
SELECT count(*) FROM orders o WHERE EXISTS (SELECT 1 FROM countries WHERE o.tenant_id = 3)
SELECT id FROM orders WHERE id = 1 FOR UPDATE
SELECT o.id FROM orders o WHERE id = 1 FOR UPDATE OF o
SELECT o.id FROM orders o WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED
SELECT DISTINCT ON (note) note, id FROM orders ORDER BY note, id
SELECT sum(id) OVER w FROM orders WINDOW w AS (PARTITION BY note ORDER BY id)
SELECT sum(id) FILTER (WHERE tenant_id = 3) FROM orders
SELECT note IS DISTINCT FROM 'a' FROM orders
SELECT id FROM orders WHERE note IS NOT DISTINCT FROM 'a'
SELECT EXTRACT(year FROM created_at) FROM orders WHERE isfinite(created_at)
SELECT substring(note FROM 1 FOR 1), trim(both 'a' from note), overlay(note placing 'x' from 1) FROM orders
SELECT CASE WHEN id > 3 THEN 'x' ELSE note END FROM orders LIMIT 3 OFFSET 1
SELECT id AS "where" FROM orders
SELECT id AS where FROM orders
SELECT id AS limit FROM orders ORDER BY id LIMIT 2
SELECT id AS values, id AS set, id AS using FROM orders
SELECT id AS from FROM orders
SELECT id AS group FROM orders GROUP BY id
SELECT id AS order FROM orders ORDER BY id
SELECT id values FROM orders
SELECT id -- WHERE true\n FROM orders -- x
SELECT id /* FROM items WHERE */ FROM orders /* a /* b */ c */ WHERE true
SELECT count(*) FROM orders WHERE id = 1 OR 1=1 -- )
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100)
SELECT count(*) FROM ROWS FROM (generate_series(1,2), generate_series(1,3)) AS t(a,b), orders
SELECT count(*) FROM generate_series(1,2) g, orders WHERE g = id
SELECT count(*) FROM (VALUES (1),(2)) v(tenant_id), orders WHERE v.tenant_id = 1
SELECT count(*) FROM (VALUES (1),(2)) orders(tenant_id)
SELECT count(*) FROM json_populate_recordset(NULL::orders, '[{"tenant_id":3}]') orders
SELECT count(*) FROM json_populate_recordset(NULL::orders, '[{"tenant_id":1}]') x JOIN orders USING (tenant_id)
UPDATE orders SET note = 'x'
UPDATE orders o SET note = i.id::text FROM items i WHERE i.id = o.id
UPDATE orders SET note = (SELECT max(tenant_id)::text FROM items)
UPDATE orders SET note = 'z' WHERE id IN (SELECT id FROM items WHERE tenant_id <> 1) RETURNING id
UPDATE orders SET note = 'z' WHERE true OR tenant_id = 3 RETURNING tenant_id
UPDATE orders SET note = 'z' RETURNING (SELECT count(*) FROM items)
UPDATE orders SET (tenant_id, note) = (3, 'x') WHERE id = 1
UPDATE orders SET (note, tenant_id) = (SELECT 'x', 3) WHERE id = 1
UPDATE orders SET tenant_id = DEFAULT
UPDATE orders SET "tenant_id" = 3
UPDATE ONLY orders SET note = 'x'
UPDATE orders * SET note = 'x'
UPDATE orders AS o SET note = 'x' FROM orders p LEFT JOIN items i ON true WHERE p.id = o.id
UPDATE orders SET note = 'x' FROM (SELECT * FROM items) i WHERE i.id = orders.id
DELETE FROM orders
DELETE FROM orders USING items WHERE items.id = orders.id
DELETE FROM orders o USING items i LEFT JOIN countries c ON true WHERE i.id = o.id
DELETE FROM orders WHERE id IN (SELECT id FROM items) RETURNING *
DELETE FROM ONLY orders WHERE id = 1
DELETE FROM orders USING orders o2 WHERE orders.id = o2.id
WITH d AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM d
WITH d AS (DELETE FROM orders RETURNING *) INSERT INTO items (id, order_id) SELECT id + 1000, id FROM d
WITH u AS (UPDATE orders SET note='q' RETURNING id) SELECT count(*) FROM u
WITH u AS (UPDATE items SET order_id = 1 RETURNING id), d AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM u, d
WITH orders AS (SELECT 1) DELETE FROM orders
WITH orders AS (SELECT 1) UPDATE orders SET note = 'x'
WITH orders AS (SELECT 1) INSERT INTO orders (id) VALUES (555)
INSERT INTO orders (id) VALUES (100), (101)
INSERT INTO orders (id) SELECT id + 1000 FROM items
INSERT INTO orders (id, note) SELECT id + 1000, note FROM orders WHERE tenant_id <> 99 ON CONFLICT DO NOTHING
INSERT INTO orders (id) WITH x AS (SELECT 500 AS id) SELECT id FROM x
INSERT INTO orders (id) SELECT DISTINCT ON (note) id + 1000 FROM orders
INSERT INTO orders (id) SELECT 500 LIMIT 1
INSERT INTO orders (id) SELECT 500 ORDER BY 1
INSERT INTO orders (id) SELECT id + 500 FROM orders GROUP BY id HAVING id > 2
INSERT INTO orders (id, tenant_id) SELECT id + 500, tenant_id FROM orders
INSERT INTO orders (tenant_id, id) SELECT 1, id + 500 FROM orders
INSERT INTO orders (id) SELECT 500 UNION SELECT 501
INSERT INTO orders (id) (SELECT 500)
INSERT INTO orders (id) VALUES ((SELECT max(id) + 1 FROM orders))
INSERT INTO orders (id) VALUES (500) RETURNING (SELECT count(*) FROM orders)
INSERT INTO orders AS o (id) VALUES (500) RETURNING o.*
INSERT INTO orders (id) VALUES (1) ON CONFLICT (tenant_id, id) DO UPDATE SET note = (SELECT max(tenant_id)::text FROM orders)
INSERT INTO orders (id) VALUES (1) ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'c' WHERE orders.id IN (SELECT id FROM items WHERE tenant_id = 3)
INSERT INTO orders (id) VALUES (1) ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'c' WHERE orders.id = 1 RETURNING *
INSERT INTO orders (id) VALUES (1) ON CONFLICT (tenant_id, id) DO UPDATE SET (tenant_id, note) = (3, 'x')
INSERT INTO orders (id) VALUES (1) ON CONFLICT ON CONSTRAINT orders_pkey DO UPDATE SET note = 'x'
INSERT INTO orders (id) VALUES (1) ON CONFLICT DO NOTHING
INSERT INTO orders DEFAULT VALUES
INSERT INTO orders (id, "tenant_id") VALUES (5, 3)
INSERT INTO orders (id, tenant_id) VALUES (500, 1), (501, 3)
INSERT INTO orders (id, tenant_id) VALUES (500, DEFAULT)
INSERT INTO orders (id, tenant_id) VALUES (500, '1')
INSERT INTO orders (id, tenant_id) VALUES (500, '01')
INSERT INTO orders (id, tenant_id) VALUES (500, 3 - 2)
INSERT INTO orders (id, tenant_id) VALUES (500, -(-1))
SELECT * FROM orders o JOIN items i USING (tenant_id) AS u
SELECT u.tenant_id FROM orders o JOIN items i USING (tenant_id) AS u
SELECT count(*) FROM orders CROSS JOIN items
SELECT count(*) FROM orders, items, countries
SELECT count(*) FROM orders o, orders p
SELECT count(*) FROM orders o JOIN orders p ON o.id = p.id AND o.tenant_id <> p.tenant_id
SELECT count(*) FROM countries c WHERE c.code IN (SELECT note FROM orders)
SELECT (SELECT note FROM orders WHERE id = 3 AND tenant_id >= 1 ORDER BY tenant_id DESC LIMIT 1)
SELECT count(*) FROM countries LEFT JOIN orders ON tenant_id = 3
SELECT count(*) FROM countries LEFT JOIN orders o ON o.tenant_id = 3 OR true
SELECT count(*) FROM orders o LEFT JOIN items i ON i.tenant_id = 3 WHERE i.id IS NULL
SELECT count(*) FROM orders o LEFT JOIN items i ON i.tenant_id <> o.tenant_id WHERE i.id IS NULL
SELECT id FROM orders ORDER BY (SELECT count(*) FROM items), id LIMIT (SELECT count(*) FROM items) - 18
SELECT id FROM orders GROUP BY id HAVING count(*) > (SELECT count(*) FROM items) - 20
SELECT json_agg(o ORDER BY id) FROM orders o
SELECT count(*) FROM orders WHERE data @> '{"n":1}' AND data ? 'n'
SELECT count(*) FROM orders WHERE note LIKE '%' ESCAPE '!' OR tenant_id = 3
SELECT count(*) FROM orders WHERE id = 1 OR tenant_id = 3 AND id = 1
SELECT count(*) FROM orders WHERE tenant_id = 1 OR NOT tenant_id = 1
SELECT id FROM orders WHERE ((((((tenant_id = 1))))))
SELECT id FROM orders WINDOW w AS ()
SELECT id FROM orders FETCH FIRST 2 ROWS ONLY
SELECT id FROM orders ORDER BY id FETCH FIRST 2 ROWS WITH TIES
SELECT id FROM orders ORDER BY id OFFSET 2 ROWS
SELECT FROM orders
SELECT ALL id FROM orders
SELECT count(*) FROM orders GROUP BY ()
SELECT count(*) FROM orders GROUP BY DISTINCT note, ROLLUP (note)
SELECT id FROM orders WHERE tenant_id = 1 AND id = ANY (ARRAY[1,2])
SELECT id FROM orders WHERE id = SOME (ARRAY[1,2])
SELECT id FROM orders WHERE id < ALL (SELECT id FROM items WHERE tenant_id = 3)
SELECT o.id FROM orders o WHERE o.tenant_id = (SELECT 3)
SELECT 1 FROM orders HAVING count(*) > 20
SELECT note, id FROM orders WHERE (note, id) > ('a', 1)
SELECT id FROM orders WHERE id OPERATOR(pg_catalog.=) 1
SELECT array_agg(x.id) FROM orders x WHERE x.tenant_id IS NOT NULL
SELECT id FROM orders o WHERE o IN (SELECT p FROM orders p)
SELECT count(*) FROM orders o WHERE o = ANY (SELECT p FROM orders p)
SELECT count(*) FROM (SELECT o FROM orders o) x, LATERAL (SELECT (x.o).*) y
SELECT 'orders'::regclass, 'SELECT'::text, U&'x' FROM orders
SELECT id FROM orders WHERE id::text = '1' COLLATE "C"
SELECT "tenant_id" FROM orders AS o ("x", "tenant_id")
SELECT t.* FROM orders t(tenant_id)
SELECT t.* FROM (SELECT * FROM orders) t(x, tenant_id)
WITH x AS (UPDATE orders SET tenant_id = 3 WHERE id = 1 RETURNING *) SELECT * FROM x
WITH x AS (SELECT id FROM orders FOR UPDATE) SELECT count(*) FROM x
VALUES (1)
VALUES ((SELECT count(*) FROM orders))
SELECT * FROM (VALUES ((SELECT count(*) FROM orders))) v
SELECT 1 INTERSECT (SELECT count(*) - 19 FROM orders)
SELECT orders.id FROM orders, (SELECT 1 AS tenant_id) AS x
SELECT id FROM orders WHERE tenant_id = 1 UNION ALL SELECT id FROM orders WHERE tenant_id = 1
SELECT (TABLE items LIMIT 1)
SELECT count(*) FROM orders o JOIN LATERAL (VALUES (o.tenant_id)) v(t) ON v.t = 3
SELECT semi.* FROM orders semi JOIN items orders ON true
SELECT anti.* FROM orders anti JOIN items orders ON true
DELETE FROM orders USING items AS i(x, tenant_id) WHERE i.x = orders.id
INSERT INTO orders (id, tenant_id, note) SELECT v.*, 1 FROM (VALUES (500, 3)) v(a, b)
WITH x AS (INSERT INTO items (tenant_id, id) VALUES (3, 500) RETURNING id) INSERT INTO orders (tenant_id, id) SELECT 1, id FROM x
SELECT count(*) FROM orders o WHERE tenant_id = @1
SELECT (5::bigint).pg_advisory_lock FROM orders
SELECT (id::text).upper FROM orders
SELECT ('orders'::regclass).pg_relation_size
TABLE orders
TABLE ONLY orders
SELECT (TABLE orders ORDER BY id LIMIT 1).id
SELECT count(*) FROM (TABLE items) i, (TABLE orders) o
WITH x AS (TABLE orders) SELECT count(*) FROM x
INSERT INTO items (id) SELECT id + 500 FROM (TABLE orders) o
VALUES (1) UNION SELECT id FROM orders
SELECT count(*) FROM (VALUES (1) UNION ALL SELECT tenant_id FROM orders) v
SELECT id FROM orders UNION ALL VALUES (99)
SELECT id FROM orders UNION ALL VALUES ((SELECT count(*) FROM items))
SELECT floor(1, 2, (SELECT max(id) FROM items)), (VALUES (1) UNION SELECT 2)
SELECT floor(1, 2, (TABLE items)), (VALUES (1) UNION SELECT 2)
SELECT bool_and(tenant_id = 1), string_agg(note, ',' ORDER BY id), json_agg(o ORDER BY id) FROM orders o
SELECT date_trunc('year', created_at), count(*) FROM orders WHERE isfinite(created_at) GROUP BY 1
SELECT grouping(note), count(*) FROM orders GROUP BY CUBE (note)
SELECT g.n, count(o.id) FROM generate_series(0, 20) AS g(n) LEFT JOIN orders o ON o.id = g.n GROUP BY 1
SELECT lpad(note, 3, 'x'), strpos(note, 'a'), array_length(ARRAY[id], 1) FROM orders
SELECT query_to_xml('SELECT * FROM orders', true, true, '')
SELECT table_to_xml('orders', true, true, '')
SELECT * FROM ts_stat('SELECT to_tsvector(note) FROM orders')
SELECT id FROM orders; -- WHERE
SELECT id FROM orders;; /* x */ ;
SELECT unnest(array_agg(id ORDER BY id)) FROM orders
SELECT row(o.*), row(1, o.note) FROM orders o
SELECT id FROM orders GROUP BY (id) ORDER BY (id)
SELECT o.id FROM orders o JOIN items i ON i.id = o.id FOR UPDATE OF o, i
SELECT o.id FROM orders o TABLESAMPLE BERNOULLI (100) REPEATABLE (1), items i TABLESAMPLE BERNOULLI (100)
SELECT o.id FROM items i LEFT JOIN orders o TABLESAMPLE BERNOULLI (100) ON true
INSERT INTO orders VALUES (1, 600, 'a')
INSERT INTO orders VALUES (3, 600, 'a')
INSERT INTO orders VALUES (1, 600), (3, 601)
INSERT INTO orders VALUES ('1', 600)
INSERT INTO orders VALUES (DEFAULT, 600)
INSERT INTO items SELECT tenant_id, id + 500, id FROM orders
INSERT INTO items SELECT o.tenant_id, o.id + 500 FROM orders o JOIN items i USING (tenant_id, id)
INSERT INTO items SELECT tenant_id, id + 500 FROM orders JOIN items USING (tenant_id, id)
INSERT INTO items SELECT i.tenant_id, 500 FROM orders o LEFT JOIN items i ON i.id = o.id + 15
INSERT INTO items SELECT max(tenant_id), 500 FROM orders
INSERT INTO items SELECT tenant_id, 500 FROM orders GROUP BY ROLLUP (tenant_id)
INSERT INTO items SELECT tenant_id, 500 FROM orders GROUP BY tenant_id
INSERT INTO items SELECT id, tenant_id FROM orders WHERE id = 3
INSERT INTO items SELECT x.* FROM (SELECT id, tenant_id FROM orders WHERE id = 3) x
INSERT INTO items SELECT x.* FROM (SELECT tenant_id, id + 500, id FROM orders) x
INSERT INTO items SELECT x.* FROM (SELECT tenant_id, id + 500, id FROM orders) x(id, tenant_id)
INSERT INTO items SELECT * FROM (SELECT id, tenant_id FROM orders WHERE id = 3) x(tenant_id, id)
INSERT INTO items SELECT tenant_id, id + 600 FROM (SELECT id AS tenant_id, tenant_id AS id FROM orders WHERE id = 3) x
INSERT INTO items WITH x AS (SELECT 3 AS tenant_id, 600 AS id) SELECT x.* FROM x
INSERT INTO items WITH orders AS (SELECT 3 AS tenant_id, 600 AS id) SELECT orders.tenant_id, orders.id FROM orders
INSERT INTO items WITH x AS (SELECT 3 AS tenant_id) SELECT y.tenant_id, 600 FROM (WITH y AS (SELECT * FROM x), x AS (SELECT * FROM orders) SELECT * FROM y) y
INSERT INTO items SELECT tenant_id, id + 500 FROM orders UNION ALL SELECT tenant_id, id + 700 FROM items
INSERT INTO items SELECT tenant_id, id + 500 FROM orders UNION ALL SELECT 3, 700
INSERT INTO items SELECT tenant_id, id + 500 FROM orders EXCEPT SELECT 1, 501
INSERT INTO items (tenant_id, id) SELECT (SELECT 3), 700
INSERT INTO items (tenant_id, id) SELECT v.tenant_id, 700 FROM (VALUES (3)) v(tenant_id), orders
INSERT INTO items (id) SELECT * FROM generate_series(500, 503)
INSERT INTO items (id, order_id) SELECT * FROM (VALUES (500, 1), (501, 2)) v(a, b)
INSERT INTO items (id, order_id) SELECT v.*, 7 FROM (VALUES (500), (501)) v(a)
INSERT INTO items (tenant_id, id) SELECT *, 1 FROM (VALUES (3)) v(a)
INSERT INTO items (id, tenant_id) SELECT *, 1 FROM (VALUES (500), (501)) v(a)
INSERT INTO items (id, tenant_id) SELECT *, 1 FROM (VALUES (500, 3)) v(a, b)
INSERT INTO items (id) SELECT id + 500 FROM orders UNION SELECT id + 700 FROM items ORDER BY 1 LIMIT 5
INSERT INTO items (id) (SELECT id + 500 FROM orders ORDER BY id LIMIT 2) UNION ALL (SELECT 900)
INSERT INTO items (id) ((SELECT id + 500 FROM orders))
INSERT INTO items (id) SELECT count(*) + 500 FROM orders
INSERT INTO items (id) SELECT id + 500 FROM orders EXCEPT SELECT id + 500 FROM items WHERE id > 3
INSERT INTO items (id) VALUES (500) UNION SELECT 501
INSERT INTO items (id) TABLE orders
INSERT INTO items TABLE items
INSERT INTO items SELECT * FROM items ON CONFLICT DO NOTHING
INSERT INTO items SELECT i.* FROM items i ON CONFLICT (tenant_id, id) DO UPDATE SET order_id = excluded.order_id + 1
INSERT INTO items (id) SELECT id FROM orders ON CONFLICT (tenant_id, id) DO UPDATE SET (order_id, tenant_id) = (1, 3)
INSERT INTO items (id) SELECT id FROM orders ON CONFLICT (tenant_id, id) DO UPDATE SET (order_id) = ROW(1)
WITH o AS (INSERT INTO orders (id) VALUES (600) RETURNING *) SELECT * FROM o
WITH o AS (INSERT INTO orders (tenant_id, id) VALUES (3, 600) RETURNING *) SELECT * FROM o
WITH o AS (INSERT INTO orders VALUES (3, 600) RETURNING id) INSERT INTO items (id) SELECT id FROM o
WITH o AS (INSERT INTO orders (id) VALUES (600) RETURNING id) INSERT INTO items (id, order_id) SELECT 600, id FROM o
WITH o AS (INSERT INTO orders (id) VALUES (600) RETURNING tenant_id, id) INSERT INTO items SELECT tenant_id, id FROM o
WITH o AS (INSERT INTO orders (id) VALUES (600) RETURNING id AS tenant_id, tenant_id AS id) INSERT INTO items SELECT tenant_id, id FROM o
WITH o AS (INSERT INTO orders (id) SELECT id + 600 FROM items RETURNING *), d AS (DELETE FROM items RETURNING *) SELECT (SELECT count(*) FROM o), (SELECT count(*) FROM d)
WITH d AS (DELETE FROM orders RETURNING tenant_id, id) INSERT INTO items SELECT tenant_id, id + 600 FROM d
WITH d AS (DELETE FROM orders o USING items i WHERE i.id = o.id RETURNING i.tenant_id, o.id) INSERT INTO items SELECT tenant_id, id + 600 FROM d
WITH u AS (UPDATE orders SET note = 'u' RETURNING *) INSERT INTO items SELECT tenant_id, id + 600 FROM u
WITH x AS (SELECT id FROM items), o AS (INSERT INTO orders (id) SELECT id + 600 FROM x RETURNING id) SELECT count(*) FROM o, items
WITH RECURSIVE r(tenant_id, n) AS (SELECT 3, 600 UNION ALL SELECT tenant_id, n + 1 FROM r WHERE n < 603) INSERT INTO items SELECT tenant_id, n FROM r
WITH RECURSIVE r(n) AS (SELECT 600 UNION ALL SELECT n + 1 FROM r WHERE n < 603) INSERT INTO items (id) SELECT n FROM r
UPDATE orders SET (note, total) = ('a', 5)
UPDATE orders SET (note, tenant_id) = ('a', 3) WHERE id = 1
UPDATE orders SET (note, tenant_id) = ROW('a', 3) WHERE id = 1
UPDATE orders SET (note, total) = (SELECT max(note), count(*) FROM orders)
UPDATE orders SET data['n'] = '5' WHERE id = 1
UPDATE orders SET tenant_id = tenant_id
UPDATE orders o SET tenant_id = o.tenant_id
MERGE INTO orders o USING items i ON o.id = i.order_id + 7 WHEN MATCHED THEN UPDATE SET note = 'm'
MERGE INTO orders o USING (SELECT DISTINCT order_id FROM items) i ON o.id = i.order_id WHEN MATCHED THEN UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT (id) VALUES (i.order_id + 500)
MERGE INTO orders o USING (VALUES (600), (601), (1)) v(id) ON o.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)
MERGE INTO orders o USING (VALUES (600)) v(id) ON true OR o.tenant_id = 3 WHEN MATCHED THEN UPDATE SET note = 'm'
MERGE INTO orders o USING (VALUES (3)) v(t) ON o.tenant_id = v.t WHEN MATCHED THEN DELETE
MERGE INTO orders o USING (VALUES (3)) v(t) ON false WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (v.t, 600)
MERGE INTO orders o USING (VALUES (3)) v(t) ON false WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (3, 600)
MERGE INTO orders o USING (VALUES (3)) v(t) ON false WHEN NOT MATCHED THEN INSERT VALUES (1, 600), (3, 600)
MERGE INTO orders o USING (VALUES (3)) v(t) ON false WHEN NOT MATCHED THEN INSERT VALUES (1, 600)
MERGE INTO items t USING orders o ON t.id = o.id + 10 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (o.tenant_id, o.id + 600)
MERGE INTO items t USING orders o ON t.id = o.id WHEN NOT MATCHED AND o.id > 3 THEN INSERT (id, tenant_id) VALUES (o.tenant_id, o.id) WHEN MATCHED THEN DO NOTHING
MERGE INTO items USING orders ON items.id = orders.id AND (SELECT count(*) FROM orders) > 20 WHEN MATCHED THEN DELETE
MERGE INTO items USING orders ON items.id = orders.id WHEN MATCHED AND (SELECT count(*) FROM items) > 20 THEN DELETE
MERGE INTO items USING orders ON items.id = orders.id WHEN MATCHED THEN UPDATE SET order_id = (SELECT max(tenant_id) FROM orders)
MERGE INTO items USING orders ON items.id = orders.id WHEN MATCHED THEN UPDATE SET (order_id, tenant_id) = (1, 3)
MERGE INTO items i USING orders o ON i.id = CASE WHEN o.id > 2 THEN o.id END WHEN MATCHED THEN UPDATE SET order_id = 9 WHEN NOT MATCHED THEN INSERT (id) VALUES (o.id + 700)
MERGE INTO items i USING orders o ON CASE WHEN i.id = o.id THEN true ELSE false END WHEN NOT MATCHED THEN INSERT (id) VALUES (700 + o.id)
MERGE INTO ONLY items i USING ONLY orders o ON i.id = o.id WHEN MATCHED THEN DELETE
MERGE INTO orders i USING orders o ON i.id = o.id WHEN MATCHED THEN DELETE
MERGE INTO orders i USING (SELECT o.id FROM orders o LEFT JOIN items x ON true GROUP BY o.id) s ON i.id = s.id WHEN MATCHED THEN DELETE
MERGE INTO orders USING (TABLE items) s ON orders.id = s.id WHEN MATCHED THEN DELETE
MERGE INTO orders USING items AS s(x, id) ON orders.id = s.id WHEN MATCHED THEN DELETE
MERGE INTO orders USING (orders o JOIN items i USING (tenant_id, id)) ON orders.id = i.id WHEN MATCHED THEN DELETE
WITH s AS (SELECT * FROM orders) MERGE INTO items USING s ON items.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.tenant_id, s.id)
WITH orders AS (SELECT 3 AS tenant_id, 600 AS id) MERGE INTO items USING orders ON items.id = orders.id WHEN NOT MATCHED THEN INSERT VALUES (orders.tenant_id, orders.id)
WITH orders AS (SELECT 1) MERGE INTO orders USING (VALUES (1)) v(id) ON true WHEN MATCHED THEN DELETE
WITH d AS (DELETE FROM orders RETURNING *) MERGE INTO items USING d ON items.id = d.id WHEN MATCHED THEN DELETE
SELECT * FROM order_items
SELECT * FROM order_counts
SELECT * FROM order_counts WHERE tenant_id = 3 OR true
SELECT * FROM busy_orders ORDER BY id
SELECT * FROM busy_orders b LEFT JOIN order_counts c ON true
SELECT * FROM note_counts
SELECT * FROM latest_orders
SELECT * FROM strangers
SELECT name FROM country_names
INSERT INTO items SELECT tenant_id, n + 600 FROM order_counts
INSERT INTO items SELECT owner, id + 600 FROM busy_orders
UPDATE orders SET note = 'v' FROM order_counts c WHERE c.n > 5
SELECT id FROM orders WHERE id IN (SELECT n FROM order_counts)
MERGE INTO items USING order_counts c ON items.id = c.n WHEN MATCHED THEN DELETE
