-- Whether code of users in this database may ask for settings of a request (request.headers and the
-- like) or set those of its response: such code is sent them, and other databases' is spared.
--
-- Code asks when its text names such a setting, or when it names one that is worked out: any
-- current_setting or set_config whose first argument is no plain literal. Expressions that are kept
-- as trees are read as text only where they call one of these functions (2077, 3294, 2078).
SELECT EXISTS (
    SELECT FROM (
        SELECT coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) AS code
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'fluxshard')
          AND l.lanname NOT IN ('c', 'internal')
          AND (p.prosqlbody IS NOT NULL
               OR p.prosrc ~* 'current_setting|set_config|request|response')
          AND NOT EXISTS (
              SELECT FROM pg_catalog.pg_depend AS d
              WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                AND d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT CASE WHEN t.tree::text ~ ':funcid (2077|3294|2078) '
                    THEN pg_catalog.pg_get_expr(t.tree, t.relation) END
        FROM (
            SELECT p.polqual AS tree, p.polrelid AS relation FROM pg_catalog.pg_policy AS p
            UNION ALL
            SELECT p.polwithcheck, p.polrelid FROM pg_catalog.pg_policy AS p
            UNION ALL
            SELECT d.adbin, d.adrelid FROM pg_catalog.pg_attrdef AS d
            UNION ALL
            SELECT c.conbin, c.conrelid FROM pg_catalog.pg_constraint AS c
            WHERE c.contype = 'c' AND c.conrelid <> 0
        ) AS t
        UNION ALL
        SELECT CASE WHEN r.ev_action::text ~ ':funcid (2077|3294|2078) '
                    THEN pg_catalog.pg_get_ruledef(r.oid) END
        FROM pg_catalog.pg_rewrite AS r
        WHERE r.oid >= 16384
        UNION ALL
        SELECT CASE WHEN t.tgqual::text ~ ':funcid (2077|3294|2078) '
                    THEN pg_catalog.pg_get_triggerdef(t.oid) END
        FROM pg_catalog.pg_trigger AS t
        WHERE t.tgqual IS NOT NULL
    ) AS s
    WHERE s.code ~* '(request\.(headers|cookies|method|path)|response\.(headers|status))'
       OR pg_catalog.regexp_replace(
              s.code, '(current_setting|set_config)\s*\(\s*''[^'']*''', '', 'gi'
          ) ~* 'current_setting|set_config'
) AS aware
