-- What the roles may do in the exposed schemas. anon and authenticated get tables by your grants.
DO $$
DECLARE
    exposed text;
    object record;
BEGIN
    FOR exposed IN
        SELECT pg_catalog.json_array_elements_text(
            pg_catalog.current_setting('fluxshard.exposed')::json)
    LOOP
        CONTINUE WHEN pg_catalog.to_regnamespace(pg_catalog.quote_ident(exposed)) IS NULL;
        IF EXISTS (
            SELECT FROM (VALUES ('anon'), ('authenticated'), ('service_role')) AS roles(name)
            WHERE NOT pg_catalog.has_schema_privilege(roles.name, exposed, 'USAGE'))
        THEN
            EXECUTE pg_catalog.format(
                'GRANT USAGE ON SCHEMA %I TO anon, authenticated, service_role', exposed);
        END IF;
        -- Object by object, and only where something lacks: what an extension or another role owns
        -- is left alone once it was granted by hand.
        FOR object IN
            SELECT c.oid::regclass AS name,
                   CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
            FROM pg_catalog.pg_class AS c
            WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(exposed))
              AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
              AND CASE WHEN c.relkind = 'S'
                  THEN NOT pg_catalog.has_sequence_privilege('service_role', c.oid, 'USAGE')
                  ELSE NOT (pg_catalog.has_table_privilege('service_role', c.oid, 'SELECT')
                        AND pg_catalog.has_table_privilege('service_role', c.oid, 'INSERT')
                        AND pg_catalog.has_table_privilege('service_role', c.oid, 'UPDATE')
                        AND pg_catalog.has_table_privilege('service_role', c.oid, 'DELETE'))
                  END
              AND NOT EXISTS (
                  SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
        LOOP
            EXECUTE pg_catalog.format('GRANT ALL ON %s %s TO service_role',
                object.kind, object.name);
        END LOOP;
        CONTINUE WHEN NOT pg_catalog.has_schema_privilege(exposed, 'CREATE');  -- we make no tables
        FOR object IN
            SELECT kinds.letter, kinds.name
            FROM (VALUES ('r', 'TABLES'), ('S', 'SEQUENCES')) AS kinds(letter, name)
            WHERE NOT EXISTS (
                SELECT FROM pg_catalog.pg_default_acl AS d
                CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS granted
                WHERE d.defaclnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(exposed))
                  AND d.defaclrole = pg_catalog.to_regrole(pg_catalog.quote_ident(CURRENT_USER))
                  AND d.defaclobjtype::text = kinds.letter
                  AND granted.grantee = pg_catalog.to_regrole('service_role'))
        LOOP
            EXECUTE pg_catalog.format(
                'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT ALL ON %s TO service_role',
                exposed, object.name);
        END LOOP;
    END LOOP;
END
$$;
