-- Roles, database and default privileges of Stoneware, as a superuser:
--
--     psql --host … --username postgres --dbname postgres --set ON_ERROR_STOP=1 --file bootstrap.sql
--
-- It may be run again at any time. The embedded PostgreSQL runs it at every start; for a server
-- of your own, run it once by hand and then give the three roles that log in a password
-- (`\password stoneware_owner` and so on).
--
-- stoneware_owner     owns the tables; migrations. Walled in like the application (FORCE).
-- stoneware_app       web and workers: ordinary rights, row-level security decides what it sees.
-- stoneware_search    owns the search documents and the functions that search them; never logs in.
-- stoneware_operator  sees every organization: operator console, sweepers, backups.

\set QUIET on
SET client_min_messages = warning;

SELECT format('CREATE ROLE %I', wanted.role)
FROM unnest(ARRAY['stoneware_owner', 'stoneware_app', 'stoneware_search', 'stoneware_operator'])
     AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.role)
\gexec

ALTER ROLE stoneware_owner    LOGIN   CREATEDB   NOSUPERUSER NOCREATEROLE NOBYPASSRLS;
ALTER ROLE stoneware_app      LOGIN   NOCREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS;
ALTER ROLE stoneware_search   NOLOGIN NOCREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS;
ALTER ROLE stoneware_operator LOGIN   NOCREATEDB NOSUPERUSER NOCREATEROLE BYPASSRLS;

-- Every policy casts this setting to uuid, so a statement outside an organization fails with
-- this text instead of finding nothing. For the owner too: a data migration must enter each
-- organization, and must not silently change no row.
ALTER ROLE stoneware_app   SET app.organization_id = 'no organization entered';
ALTER ROLE stoneware_owner SET app.organization_id = 'no organization entered';

-- Migrations give the search tables and the lookup functions to the role that owns them.
GRANT stoneware_search   TO stoneware_owner WITH INHERIT TRUE,  SET TRUE;
GRANT stoneware_operator TO stoneware_owner WITH INHERIT FALSE, SET TRUE;

SELECT 'CREATE DATABASE stoneware OWNER stoneware_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'stoneware')
\gexec

\connect stoneware
\ir bootstrap_database.sql

-- New databases are copies of template1: the test suite's are made by stoneware_owner, who could
-- not install the extension.
\connect template1
\ir bootstrap_database.sql
