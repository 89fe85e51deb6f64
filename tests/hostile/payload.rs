//! The attacker's code. It tries every way to a role that may write files of the server, and writes a file if it
//! succeeds.

/// Functions of the attacker's schema. `{marker}` is the file that an escape writes. The file stays even if the
/// transaction is rolled back. Only a superuser or a member of `pg_write_server_files` can write it. The role is reset
/// afterwards, so that the run continues and later escapes are seen, too.
pub(super) const FUNCTIONS: &str = r#"
CREATE FUNCTION public.attack() RETURNS boolean LANGUAGE plpgsql AS $attack$
DECLARE
    was text := current_user;
    way text;
    tried integer := coalesce(nullif(current_setting('evil.tried', true), ''), '0');
BEGIN
    -- Operators are called thousands of times.
    IF tried >= 25 THEN RETURN true; END IF;
    PERFORM set_config('evil.tried', (tried + 1)::text, false);
    FOR way IN
        SELECT unnest(ARRAY['SELECT 1', 'RESET ROLE', 'SET ROLE NONE', 'SET SESSION AUTHORIZATION DEFAULT',
            'SET LOCAL SESSION AUTHORIZATION DEFAULT', 'SET SESSION AUTHORIZATION postgres', 'SET ROLE postgres',
            'ALTER ROLE app SUPERUSER', 'GRANT pg_write_server_files TO app'])
        UNION ALL SELECT format('SET ROLE %I', rolname) FROM pg_catalog.pg_roles WHERE rolname <> current_user
    LOOP
        BEGIN
            EXECUTE way;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        BEGIN
            EXECUTE format('COPY (SELECT %L) TO %L',
                format('%s: %s of %s', way, current_user, session_user), '{marker}');
            EXIT;
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    BEGIN
        EXECUTE 'RESET SESSION AUTHORIZATION';
        EXECUTE format('SET ROLE %I', was);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    RETURN true;
END $attack$;
CREATE FUNCTION public.evil(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM public.attack(); RETURN true; END $$;
CREATE FUNCTION public.evil_int(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM public.attack(); RETURN $1; END $$;
CREATE FUNCTION public.evil_trigger() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM public.attack(); IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
"#;
