-- What one database of Stoneware needs; bootstrap.sql includes it for each of them.

SET client_min_messages = warning;

CREATE EXTENSION IF NOT EXISTS vector;

GRANT USAGE  ON SCHEMA public
    TO stoneware_owner, stoneware_app, stoneware_search, stoneware_operator;
-- A role must be able to create what it is to own.
GRANT CREATE ON SCHEMA public TO stoneware_owner, stoneware_search, stoneware_operator;

-- These stand before the first migration, so every table is usable from the moment it exists.
ALTER DEFAULT PRIVILEGES FOR ROLE stoneware_owner, stoneware_search IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO stoneware_app, stoneware_operator;
ALTER DEFAULT PRIVILEGES FOR ROLE stoneware_owner, stoneware_search IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO stoneware_app, stoneware_operator;
ALTER DEFAULT PRIVILEGES FOR ROLE stoneware_owner, stoneware_search, stoneware_operator
    IN SCHEMA public
    GRANT EXECUTE ON FUNCTIONS TO stoneware_app, stoneware_operator;
