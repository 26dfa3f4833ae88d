from django.db import migrations

# Under row-level security the index of words would never be used: its operator is not leakproof.
# These two functions run as the owner of the search documents, whom the policy does not bind, and
# take the organization from where the policy takes it, never from the caller; outside one they
# fail as the policy does. Both hand out ids, counts and scores of one dataset and nothing else.
#
# `wanted` is text for to_tsquery; without a word in it nothing matches. Plans are made for each
# call: how rare the words are decides between the index of words and the walk in order.
FUNCTIONS = """
CREATE FUNCTION count_documents(of_dataset uuid, wanted text, at_most bigint)
RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan SET client_min_messages = warning AS $$
    SELECT count(*) FROM (
        SELECT FROM record_search
        WHERE organization_id = (SELECT current_setting('app.organization_id')::uuid)
          AND numnode(to_tsquery('simple', wanted)) > 0
          AND document @@ (to_tsquery('simple', wanted)
              && ('''ds:' || replace(of_dataset::text, '-', '') || '''')::tsquery)
        LIMIT at_most
    ) AS found
$$;
CREATE FUNCTION rank_documents(
    of_dataset uuid, wanted text, among uuid[], skipped bigint, at_most bigint)
RETURNS TABLE (record_id uuid, score real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan SET client_min_messages = warning AS $$
    SELECT record_id, ts_rank('{1,1,1,1}', document, to_tsquery('simple', wanted), 1)
    FROM record_search
    WHERE organization_id = (SELECT current_setting('app.organization_id')::uuid)
      AND dataset_id = of_dataset AND numnode(to_tsquery('simple', wanted)) > 0
      AND document @@ (to_tsquery('simple', wanted)
          && ('''ds:' || replace(of_dataset::text, '-', '') || '''')::tsquery)
      AND (among IS NULL OR record_id = ANY (among))
    ORDER BY record_id OFFSET skipped LIMIT at_most
$$;
ALTER FUNCTION count_documents(uuid, text, bigint) OWNER TO stoneware_search;
ALTER FUNCTION rank_documents(uuid, text, uuid[], bigint, bigint) OWNER TO stoneware_search;
SET LOCAL ROLE stoneware_search;
REVOKE ALL ON FUNCTION count_documents(uuid, text, bigint) FROM PUBLIC, stoneware_operator;
REVOKE ALL ON FUNCTION rank_documents(uuid, text, uuid[], bigint, bigint)
    FROM PUBLIC, stoneware_operator;
GRANT EXECUTE ON FUNCTION count_documents(uuid, text, bigint) TO stoneware_app;
GRANT EXECUTE ON FUNCTION rank_documents(uuid, text, uuid[], bigint, bigint) TO stoneware_app;
RESET ROLE;
"""
DROP_FUNCTIONS = """
DROP FUNCTION count_documents(uuid, text, bigint);
DROP FUNCTION rank_documents(uuid, text, uuid[], bigint, bigint);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, reverse_sql=DROP_FUNCTIONS),
    ]
