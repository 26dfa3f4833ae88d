from django.db import migrations

# The look-up of a key also brings its member: one query less in every request.
FIND = """
DROP FUNCTION find_api_key(text);
CREATE FUNCTION find_api_key(key_digest text)
RETURNS TABLE (organization_id uuid, key_id uuid, last_used_at timestamptz, id uuid,
    inserted_at timestamptz, updated_at timestamptz, user_id uuid, username text,
    first_name text, last_name text, role text, is_active boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT k.organization_id, k.id, k.last_used_at, m.id, m.inserted_at, m.updated_at, m.user_id,
        m.username::text, m.first_name::text, m.last_name::text, m.role::text, m.is_active
    FROM api_key k
    JOIN membership m ON m.organization_id = k.organization_id AND m.id = k.membership_id
    WHERE k.digest = key_digest AND k.revoked_at IS NULL AND m.is_active
      AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
ALTER FUNCTION find_api_key(text) OWNER TO stoneware_operator;
"""


class Migration(migrations.Migration):
    dependencies = [("organizations", "0001_initial")]

    operations = [migrations.RunSQL(FIND, reverse_sql=migrations.RunSQL.noop)]
