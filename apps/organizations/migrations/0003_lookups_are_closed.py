from django.db import migrations

# Without pg_temp at the end of the path a temporary table of the caller's would come before the
# real one, and its code would run with the operator's rights. Nobody else may call them.
CLOSE = """
SET LOCAL ROLE stoneware_operator;
ALTER FUNCTION find_api_key(text) SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION find_organization(text) SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION find_memberships(uuid) SET search_path = pg_catalog, public, pg_temp;
REVOKE ALL ON FUNCTION find_api_key(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_organization(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_memberships(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_organization(text) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_memberships(uuid) TO stoneware_app;
RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0002_api_key_finds_member")]

    operations = [migrations.RunSQL(CLOSE, reverse_sql=migrations.RunSQL.noop)]
