-- One statement per line, behind its caller: s is the service role, a number that tenant's token; j asks for JSON.
s SELECT tenant_id, count(*) FILTER (WHERE status = 'paid') * 1.0 / count(*) AS share FROM orders GROUP BY tenant_id ORDER BY share DESC, tenant_id
s SELECT status, avg(total) FROM orders WHERE total < 1000 AND total > -1000 GROUP BY status ORDER BY 1 NULLS FIRST
s SELECT count(DISTINCT country), sum(DISTINCT total) FROM orders
s SELECT GROUPING(status, country), status, country, count(*) FROM orders GROUP BY CUBE (status, country) ORDER BY 1,2,3
s SELECT o.status, sum(i.qty * i.price) FROM orders o JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id GROUP BY o.status HAVING sum(i.qty * i.price) > 10 ORDER BY 2 DESC, 1
s SELECT a.name, (SELECT count(*) FROM orders o WHERE o.tenant_id = a.tenant_id AND o.account_id = a.id) n FROM accounts a ORDER BY n DESC, a.tenant_id, a.id LIMIT 7
s SELECT c.name, count(o.id) FROM countries c LEFT JOIN orders o ON o.country = c.code GROUP BY c.name ORDER BY 2 DESC, 1
s SELECT c.name, count(o.id) FROM countries c LEFT JOIN orders o ON o.country = c.code GROUP BY c.code ORDER BY 2 DESC, 1
s SELECT * FROM countries WHERE code NOT IN (SELECT country FROM orders WHERE country IS NOT NULL) ORDER BY code
s SELECT code FROM countries EXCEPT SELECT country FROM orders ORDER BY 1
s SELECT DISTINCT ON (status) status, tenant_id, id FROM orders ORDER BY status, placed_on DESC NULLS LAST, tenant_id, id
s SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id ORDER BY placed_on, id) FROM orders WHERE tenant_id IN (1, 2) ORDER BY 1, 3
s SELECT * FROM (SELECT o.*, rank() OVER (PARTITION BY tenant_id ORDER BY total DESC NULLS LAST) AS r FROM orders o) x WHERE r = 1 ORDER BY tenant_id, id
s WITH t AS (SELECT tenant_id, sum(total) s FROM orders GROUP BY tenant_id) SELECT a.tenant_id, a.name, t.s FROM accounts a JOIN t USING (tenant_id) WHERE a.id = 1 ORDER BY 1
s SELECT max(n) FROM (SELECT count(*) n FROM items GROUP BY tenant_id, order_id) x
s SELECT string_agg(DISTINCT kind, ',' ORDER BY kind) FROM app.events
s SELECT percentile_cont(ARRAY[0.25, 0.5]) WITHIN GROUP (ORDER BY qty) FROM items
s SELECT date_trunc('month', placed_on) AS m, count(*) FROM orders GROUP BY m ORDER BY m
s SELECT date_trunc('month', placed_on) AS m, count(*) FROM orders GROUP BY 1 ORDER BY 1 DESC NULLS LAST LIMIT 2
s SELECT extract(year FROM placed_on), min(total), max(total) FROM orders GROUP BY 1 ORDER BY 1
s SELECT id FROM orders ORDER BY lower(note) COLLATE "C", tenant_id, id OFFSET 3 LIMIT 4
s SELECT mood, count(*) FROM app.events GROUP BY mood ORDER BY mood
s SELECT mood, id, tenant_id FROM app.events ORDER BY mood DESC, tenant_id, id LIMIT 9
s SELECT max(mood), min(mood), max(span), min(clock) FROM app.events
s SELECT code || '|', count(*) FROM app.events GROUP BY code ORDER BY code
s SELECT unnest(nums) AS n, count(*) FROM app.events GROUP BY n ORDER BY n
s SELECT jsonb_object_keys(payload) AS k, count(*) FROM app.events GROUP BY k ORDER BY k
s SELECT every(active), bool_or(active) FROM accounts
s SELECT sum(discount) FROM orders WHERE discount < 100000
s SELECT avg(weight) FROM app.events WHERE weight < 10000
s SELECT sum(weight), avg(discount::real) FROM app.events JOIN orders USING (tenant_id, id)
s SELECT var_pop(total), stddev_samp(total) FROM orders WHERE abs(total) < 100
s SELECT variance(qty), stddev(price) FROM items
s SELECT count(*) FROM orders WHERE (tenant_id, id) IN ((1,1),(2,2),(5,3))
s SELECT tenant_id, id FROM orders WHERE (tenant_id, id) > (3, 10) ORDER BY tenant_id, id LIMIT 5
s UPDATE orders SET note = 'x' WHERE status = 'paid'
s UPDATE orders SET total = total + 1 WHERE id < 3 RETURNING tenant_id, id, total
s DELETE FROM items WHERE qty = 0 RETURNING *
s INSERT INTO orders (tenant_id, id, note) VALUES (1, 100, 'a'), (2, 100, 'b'), (3, 100, 'c'), (4, 100, NULL) RETURNING tenant_id, id
s INSERT INTO orders (tenant_id, id, note) VALUES (1, 100, 'a'), (2, 1, 'b') ON CONFLICT (tenant_id, id) DO UPDATE SET note = EXCLUDED.note RETURNING tenant_id, note
s INSERT INTO orders (tenant_id, id, note) VALUES (1, 100, 'a'), (1, 100, 'b') ON CONFLICT (tenant_id, id) DO UPDATE SET note = EXCLUDED.note
s INSERT INTO orders (tenant_id, id, note) SELECT tenant_id, id + 500, note FROM orders WHERE note IS NOT NULL RETURNING id
s INSERT INTO logs (tenant_id, message) SELECT tenant_id, count(*)::text FROM orders GROUP BY tenant_id
s INSERT INTO logs (tenant_id, level, message) SELECT 1, 2, name FROM countries
s INSERT INTO logs SELECT tenant_id, 3, name FROM accounts WHERE id = 1
s INSERT INTO countries (code, name) SELECT 'z' || id, name FROM accounts WHERE tenant_id = 1
s INSERT INTO countries (code, name) SELECT status, 'x' FROM orders WHERE status IS NOT NULL GROUP BY status
s DELETE FROM accounts a USING orders o WHERE o.tenant_id = a.tenant_id AND o.account_id = a.id AND o.status = 'void'
s UPDATE accounts a SET plan = p.name FROM plans p WHERE p.quota = 25 AND a.plan IS NULL
s WITH x AS (UPDATE orders SET note = 'w' WHERE status = 'new' RETURNING tenant_id, id) SELECT count(*) FROM x
s WITH x AS (DELETE FROM items WHERE line = 1 RETURNING tenant_id, order_id) SELECT tenant_id, count(*) FROM x GROUP BY tenant_id ORDER BY 1
s UPDATE accounts SET balance = balance + 1 WHERE tenant_id IN (1, 3) AND id = 1 RETURNING balance
s UPDATE accounts SET (name, plan) = (SELECT name, currency FROM countries WHERE code = 'at') WHERE tenant_id = 2
s MERGE INTO orders t USING (VALUES (1, 1), (2, 99)) s(t, i) ON t.tenant_id = s.t AND t.id = s.i WHEN MATCHED THEN UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (s.t, s.i)
s SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100)
s SELECT o.id FROM ONLY orders o WHERE tenant_id = 1 ORDER BY 1
s SELECT tableoid::regclass, count(*) FROM app.events GROUP BY 1 ORDER BY 1
s SELECT id FROM orders WHERE ctid = '(0,1)'
s SELECT current_setting('timezone')
s SELECT pg_typeof(total), pg_typeof(data) FROM orders LIMIT 1
s SELECT pg_typeof(o) FROM orders o ORDER BY o.tenant_id, o.id LIMIT 1
s SELECT pg_typeof(sum(id)), pg_typeof(avg(qty)) FROM orders JOIN items USING (tenant_id)
1 SELECT pg_typeof(sum(id)), pg_typeof(avg(qty)) FROM orders JOIN items USING (tenant_id)
s SELECT sum(x) FROM (SELECT sum(id) AS x FROM orders UNION ALL SELECT sum(id) FROM accounts) u
s SELECT id FROM orders UNION SELECT id FROM accounts ORDER BY id LIMIT 3
s (SELECT tenant_id, id FROM orders ORDER BY tenant_id, id LIMIT 2) UNION ALL (SELECT tenant_id, id FROM accounts ORDER BY tenant_id DESC, id LIMIT 2) ORDER BY 1, 2
s SELECT id, note FROM orders ORDER BY note USING <, tenant_id, id LIMIT 3
s SELECT coalesce(sum(total), 0) FROM orders WHERE tenant_id = 8
s SELECT sum(total) FROM orders WHERE false
s SELECT count(*), max(id), array_agg(id ORDER BY id) FROM orders WHERE id > 1000
s SELECT status, count(*) FROM orders WHERE id > 1000 GROUP BY status
s SELECT count(*) FROM orders HAVING count(*) > 1000
s SELECT 1 FROM orders HAVING true
s SELECT json_object_agg(tenant_id, n ORDER BY tenant_id) FROM (SELECT tenant_id, count(*) n FROM orders GROUP BY tenant_id) x
s SELECT lag(id) OVER w, lead(id, 2, -1) OVER w, first_value(id) OVER w FROM orders WINDOW w AS (ORDER BY tenant_id, id) ORDER BY tenant_id, id LIMIT 5
s SELECT EXISTS (SELECT 1 FROM orders WHERE total > 5), (SELECT count(*) FROM accounts)
s SELECT (SELECT note FROM orders WHERE tenant_id = 1 AND id = 2)
s SELECT (SELECT note FROM orders WHERE id = 2)
s SELECT ARRAY(SELECT id FROM orders WHERE tenant_id = 1 ORDER BY id)
s SELECT x.n FROM generate_series(1, 3) AS x(n) LEFT JOIN orders o ON o.tenant_id = 1 AND o.id = x.n AND o.note = 'a'
s SELECT n, (SELECT count(*) FROM orders o WHERE o.id = n) FROM generate_series(1, 3) AS n ORDER BY n
s SELECT DISTINCT status, tenant_id FROM orders ORDER BY tenant_id, status
s SELECT DISTINCT total FROM orders ORDER BY total
s SELECT total FROM orders ORDER BY total DESC, tenant_id, id LIMIT 12
s SELECT DISTINCT tags FROM accounts ORDER BY tags
s SELECT tags, count(*) FROM accounts GROUP BY tags ORDER BY 2 DESC, 1
s SELECT ref, count(*) FROM accounts GROUP BY ref ORDER BY ref
s SELECT data, count(*) FROM orders GROUP BY data ORDER BY data
s SELECT clock, span FROM app.events ORDER BY span, clock, tenant_id, id LIMIT 6
s SELECT raw FROM app.events ORDER BY raw DESC NULLS LAST, tenant_id, id LIMIT 6
s SELECT score, size FROM logs ORDER BY score NULLS FIRST, size, message, at, level LIMIT 6
s SELECT sum(score), max(size) FROM logs
1 SELECT * FROM logs ORDER BY level, message, at, score LIMIT 2
1 INSERT INTO logs (level, score) VALUES (1, -1)
1 INSERT INTO logs DEFAULT VALUES RETURNING *
1 UPDATE logs SET level = DEFAULT RETURNING level
1 SELECT tenant_id FROM orders o WHERE EXISTS (SELECT 1 FROM items WHERE order_id = o.id) ORDER BY 1
1 SELECT count(*) FROM orders, items WHERE order_id = id
1 SELECT sum(qty) FROM items NATURAL JOIN (SELECT tenant_id, id AS order_id FROM orders) x
1 TABLE orders
1 WITH orders AS (SELECT 1 AS id) SELECT * FROM orders
1 WITH orders AS (SELECT * FROM orders WHERE id = 1) SELECT * FROM orders
1 WITH RECURSIVE orders AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM orders WHERE id < 3) SELECT * FROM orders
1 SELECT * FROM public.orders, (WITH public AS (SELECT 1) SELECT * FROM public) x WHERE id = 1
1 SELECT x.* FROM orders AS x(a, b, c) ORDER BY b
1 SELECT (SELECT o.note FROM orders WHERE id = o.id + 1) FROM orders o
1 SELECT orders.note FROM app.events orders RIGHT JOIN items ON true
1 DELETE FROM orders AS items USING items AS orders WHERE items.id = orders.order_id RETURNING items.id
1 UPDATE items SET qty = 3 FROM orders WHERE order_id = id AND status = 'paid' RETURNING items.*
1 SELECT * FROM orders WHERE id = ANY (SELECT order_id FROM items) ORDER BY id
1 SELECT * FROM orders o JOIN LATERAL (SELECT * FROM items i WHERE i.order_id = o.id ORDER BY line LIMIT 1) x ON true ORDER BY o.id
1 SELECT count(*) FROM (orders o LEFT JOIN items i ON i.order_id = o.id) JOIN countries c ON c.code = o.country
1 SELECT count(*) FROM (orders o LEFT JOIN items i ON i.order_id = o.id) AS j
1 SELECT * FROM orders o FULL JOIN accounts a ON a.id = o.account_id ORDER BY o.id, a.id
s SELECT id FROM orders WHERE tenant_id = 1 AND ctid = '(0,1)'
s DELETE FROM orders WHERE ctid = '(0,1)'
s SELECT tenant_id FROM orders WHERE tenant_id = '01'
s SELECT id FROM orders WHERE tenant_id = 1.0 ORDER BY id
s SELECT id FROM orders WHERE tenant_id = 1.5
s SELECT id FROM orders WHERE tenant_id = 1e0 ORDER BY id
s SELECT id FROM orders WHERE tenant_id = 0x1 ORDER BY id
s SELECT id FROM orders WHERE tenant_id = 1_0
s SELECT id FROM orders WHERE tenant_id = +1 ORDER BY id
s SELECT id FROM orders WHERE tenant_id = - -1 ORDER BY id
s SELECT id FROM orders WHERE tenant_id = 2 - 1 ORDER BY id
s SELECT id FROM orders WHERE tenant_id = '1' || '' ORDER BY id
s SELECT id FROM orders WHERE tenant_id = E'\x31' ORDER BY id
s SELECT id FROM orders WHERE tenant_id = U&'\0031' ORDER BY id
s SELECT id FROM orders WHERE tenant_id = $$1$$ ORDER BY id
s SELECT id FROM orders WHERE tenant_id = ' 1 ' ORDER BY id
s SELECT id FROM orders WHERE tenant_id = ALL (ARRAY[1]) ORDER BY id
s SELECT id FROM orders WHERE tenant_id = ANY (ARRAY[1, NULL]) ORDER BY id
s SELECT id FROM orders WHERE tenant_id = ANY ('{1,2}') ORDER BY tenant_id, id
s SELECT id FROM orders WHERE tenant_id = ANY ('{{1},{2}}') ORDER BY tenant_id, id
s SELECT id FROM orders WHERE tenant_id = ANY (VALUES (1), (2)) ORDER BY tenant_id, id
s SELECT id FROM orders WHERE tenant_id IN (SELECT 1 UNION SELECT 2) ORDER BY tenant_id, id
s SELECT id FROM orders WHERE tenant_id = (SELECT 1) ORDER BY id
s SELECT id FROM orders WHERE tenant_id = 1 AND tenant_id = 2
s SELECT id FROM orders WHERE tenant_id = 1 OR tenant_id = 2 ORDER BY tenant_id, id
s SELECT id FROM orders WHERE (tenant_id = 1 OR tenant_id = 2) AND tenant_id <> 1 ORDER BY id
s SELECT id FROM orders WHERE tenant_id IN (1) IS TRUE ORDER BY id
s SELECT id FROM orders WHERE (tenant_id = 1) IS NOT FALSE ORDER BY id
s SELECT id FROM orders WHERE tenant_id = 1 IS UNKNOWN ORDER BY id
s SELECT id FROM orders WHERE NOT (tenant_id <> 1) ORDER BY id
s SELECT id FROM orders WHERE (tenant_id, id) = (1, 2)
s SELECT id FROM orders WHERE (tenant_id) IN ((1), (2)) ORDER BY tenant_id, id
s SELECT id FROM orders WHERE row(tenant_id) = row(1) ORDER BY id
s SELECT id FROM orders WHERE tenant_id IS NULL
s SELECT id FROM orders WHERE tenant_id = NULL
s SELECT id FROM orders WHERE tenant_id = 99999999999
s SELECT id FROM orders WHERE tenant_id = 99999999999999999999
s SELECT id FROM orders WHERE tenant_id = 'x'
s SELECT id FROM orders WHERE tenant_id = 1 AND false
s SELECT id FROM orders o WHERE o.tenant_id BETWEEN 1 AND 1 ORDER BY id
s SELECT o.id, i.line FROM orders o, items i WHERE o.tenant_id = 1 AND i.tenant_id = 2 AND i.order_id = o.id ORDER BY 1, 2
s SELECT o.id, i.line FROM orders o, items i WHERE o.tenant_id = 1 AND i.tenant_id = 3 AND i.order_id = o.id ORDER BY 1, 2
s SELECT o.id FROM orders o LEFT JOIN items i ON i.tenant_id = 1 AND i.order_id = o.id WHERE o.tenant_id = 2 ORDER BY 1
s SELECT o.id FROM orders o LEFT JOIN items i ON o.tenant_id = 1 AND i.tenant_id = 1 AND i.order_id = o.id ORDER BY o.tenant_id, 1
s SELECT count(*) FROM orders o RIGHT JOIN items i ON o.tenant_id = 1 AND i.tenant_id = o.tenant_id AND i.order_id = o.id
s SELECT count(*) FROM orders o FULL JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id WHERE o.tenant_id = 1
s SELECT count(*) FROM orders o FULL JOIN items i USING (tenant_id) WHERE tenant_id = 1
s SELECT count(*) FROM orders o LEFT JOIN items i USING (tenant_id) WHERE tenant_id = 1 AND order_id = id
s SELECT count(*) FROM orders o RIGHT JOIN items i USING (tenant_id) WHERE tenant_id = 1
s SELECT count(*) FROM orders NATURAL JOIN accounts WHERE tenant_id = 1
s WITH t AS (SELECT * FROM orders WHERE tenant_id = 1) SELECT count(*) FROM t JOIN items i ON i.tenant_id = t.tenant_id AND i.order_id = t.id
s WITH t AS (SELECT 1 AS tenant_id) SELECT count(*) FROM orders JOIN t USING (tenant_id)
s WITH t AS (SELECT 1 AS tenant_id UNION ALL SELECT 2) SELECT count(*) FROM orders WHERE tenant_id IN (SELECT tenant_id FROM t)
s SELECT * FROM (SELECT tenant_id AS t, id FROM orders) x WHERE t = 1 ORDER BY id LIMIT 2
s SELECT * FROM (SELECT tenant_id + 1 AS tenant_id, id FROM orders) x WHERE tenant_id = 1 ORDER BY id LIMIT 2
s SELECT * FROM (SELECT id AS tenant_id, tenant_id AS id FROM orders) x WHERE tenant_id = 1 ORDER BY id LIMIT 5
s SELECT * FROM (SELECT tenant_id, id FROM orders LIMIT 0) x WHERE tenant_id = 1
s SELECT * FROM (SELECT tenant_id, id FROM orders ORDER BY tenant_id, id LIMIT 3) x WHERE tenant_id = 2
s SELECT * FROM (SELECT tenant_id, id, row_number() OVER (ORDER BY tenant_id, id) n FROM orders) x WHERE tenant_id = 2 ORDER BY n LIMIT 2
s SELECT * FROM (SELECT tenant_id, count(*) OVER () n FROM orders) x WHERE tenant_id = 2 LIMIT 1
s SELECT * FROM (SELECT DISTINCT ON (id) id, tenant_id FROM orders ORDER BY id, tenant_id) x WHERE tenant_id = 2
s SELECT * FROM (SELECT DISTINCT ON (id) id, tenant_id FROM orders ORDER BY id, tenant_id DESC) x WHERE tenant_id = 5
s SELECT * FROM (SELECT tenant_id FROM orders EXCEPT SELECT tenant_id FROM accounts WHERE tenant_id <> 1) x WHERE tenant_id = 1
s SELECT tenant_id FROM (SELECT max(tenant_id) AS tenant_id FROM orders) x WHERE tenant_id = 1
s SELECT tenant_id, n FROM (SELECT tenant_id, count(*) n FROM orders GROUP BY ROLLUP (tenant_id)) x WHERE tenant_id = 1
s SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id HAVING tenant_id = 1
s SELECT tenant_id, count(*) FROM orders GROUP BY GROUPING SETS ((tenant_id), ()) HAVING tenant_id = 1 OR tenant_id IS NULL ORDER BY 1
s SELECT count(*) FROM orders o WHERE EXISTS (SELECT 1 FROM items i WHERE i.tenant_id = 1) AND o.tenant_id = 2
s SELECT count(*) FROM orders o WHERE EXISTS (SELECT 1 FROM items i WHERE o.tenant_id = 1 AND i.tenant_id = 1)
s SELECT count(*) FROM orders o WHERE o.tenant_id = 1 AND id IN (SELECT order_id FROM items)
s UPDATE orders SET tenant_id = 2 WHERE tenant_id = 1 AND id = 1
s UPDATE orders SET tenant_id = 1 WHERE tenant_id = 1 AND id = 1 RETURNING id
s UPDATE orders SET tenant_id = tenant_id WHERE id = 1
s INSERT INTO orders VALUES (1, 200)
s INSERT INTO orders (id) VALUES (1)
s INSERT INTO orders (tenant_id, id) VALUES (1 + 1, 201)
s INSERT INTO orders (tenant_id, id) VALUES ('2', 201) RETURNING tenant_id
s INSERT INTO orders (tenant_id, id) VALUES (2.0, 201)
s INSERT INTO orders (tenant_id, id) VALUES (1, 201), (1, 1)
s INSERT INTO orders (tenant_id, id) VALUES (1, 201), (2, 1)
s DELETE FROM orders WHERE tenant_id = 1 OR id = 3
s DELETE FROM orders WHERE tenant_id IN (SELECT tenant_id FROM accounts WHERE plan = 'free')
1 SELECT id FROM orders WHERE tenant_id = 2 OR true ORDER BY id
1 SELECT o.note FROM orders o FULL JOIN orders p ON p.id = o.id AND p.tenant_id <> o.tenant_id ORDER BY o.id, p.id
1 SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM app.events)
1 INSERT INTO orders (tenant_id, id) VALUES (2, 201)
1 INSERT INTO orders SELECT * FROM orders WHERE id > 100
1 INSERT INTO orders (id, note) SELECT id + 100, (SELECT max(name) FROM accounts) FROM orders ON CONFLICT (tenant_id, id) DO UPDATE SET note = (SELECT min(name) FROM accounts) WHERE EXISTS (SELECT 1 FROM items WHERE order_id = orders.id)
1 UPDATE orders SET note = (SELECT string_agg(name, ',' ORDER BY id) FROM accounts)
1 DELETE FROM items WHERE order_id IN (SELECT id FROM orders WHERE status = 'paid')
1 DELETE FROM orders WHERE id NOT IN (SELECT order_id FROM items) RETURNING id
1 MERGE INTO orders t USING accounts s ON t.id = s.id WHEN MATCHED AND s.active THEN UPDATE SET note = s.name WHEN NOT MATCHED THEN INSERT (id, note) VALUES (s.id, s.name)
1 MERGE INTO orders t USING accounts s ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE
1 WITH d AS (DELETE FROM items RETURNING *) INSERT INTO logs (level, message) SELECT line, sku FROM d
1 WITH d AS (DELETE FROM items RETURNING *), e AS (UPDATE orders SET note = 'z' RETURNING id) SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM e)
1 SELECT o.data, o.country, count(*) FROM orders AS o FULL JOIN countries ON countries.code = o.country GROUP BY o.tenant_id, o.id
1 SELECT i.sku, count(*) FROM orders o LEFT JOIN items i ON i.order_id = o.id GROUP BY i.tenant_id, i.order_id, i.line
1 SELECT i, count(*) FROM orders o LEFT JOIN items i ON i.order_id = o.id GROUP BY i.tenant_id, i.order_id, i.line
1 SELECT i FROM orders o LEFT JOIN items i ON i.order_id = o.id
1 SELECT o FROM orders o LEFT JOIN items i ON i.order_id = o.id
s SELECT o FROM orders o LEFT JOIN items i ON i.order_id = o.id
s SELECT o, count(*) FROM orders o LEFT JOIN items i ON i.order_id = o.id GROUP BY o.tenant_id, o.id
1 SELECT i IS NULL, i::text FROM orders o LEFT JOIN items i ON i.order_id = o.id
1 SELECT (i).sku FROM orders o LEFT JOIN items i ON i.order_id = o.id
1 SELECT array_agg(i ORDER BY i.line, i.order_id) FROM orders o LEFT JOIN items i ON i.order_id = o.id
1 SELECT row_to_json(i), count(i), json_agg(i) FROM orders o LEFT JOIN items i ON i.order_id = o.id GROUP BY row_to_json(i)::text, i
1 SELECT row_to_json(i) FROM orders o LEFT JOIN items i ON i.order_id = o.id
1 SELECT count(i), json_agg(i ORDER BY i.order_id, i.line), jsonb_agg(to_jsonb(i) ORDER BY i.order_id, i.line) FROM orders o LEFT JOIN items i ON i.order_id = o.id
1j SELECT i.*, to_jsonb(i) FROM orders o LEFT JOIN items i ON i.order_id = o.id
1 SELECT o.* FROM orders o FULL JOIN items i USING (tenant_id) WHERE i.line = 1
