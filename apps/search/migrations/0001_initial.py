import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.utils.timezone
from apps.core.isolation import Isolate
from django.db import migrations, models

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
        ('datasets', '0001_initial'),
        ('organizations', '0001_initial'),
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, reverse_sql=DROP_FUNCTIONS),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100)),
                ('query', models.TextField(blank=True)),
                ('is_shared', models.BooleanField(default=False)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('owner', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'saved_view',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'dataset', 'owner', 'name'), name='saved_view_name_unique'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='saved_view_name_given')],
            },
        ),
        Isolate("SavedView"),
    ]
