-- The demonstration's global table: in the catalog's database only, for the service role only.

CREATE TABLE companies (
    tenant_id integer PRIMARY KEY,
    name text NOT NULL,
    plan text NOT NULL,
    since date NOT NULL
);

GRANT ALL ON companies TO service_role;
