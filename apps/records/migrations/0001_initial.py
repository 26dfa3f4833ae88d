import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.contrib.postgres.search
import django.utils.timezone
import pgvector.django.vector
from apps.core.isolation import Isolate
from django.db import migrations, models


# Rows that change all the time leave room on their page.
TUNING = """
ALTER TABLE record_task SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE dataset_counter SET (fillfactor = 50);
CREATE INDEX record_search_document ON record_search USING gin (document);
"""
# Until the first ANALYZE has looked, the planner takes any index that starts with organization and
# dataset to find one row, and would read a whole young dataset for every external id.
EXPECTATION = """
SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', 'record', 'inherited', false,
    'attname', attname, 'n_distinct', 1::real)
FROM unnest(ARRAY['organization_id', 'dataset_id']) AS shared (attname)
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0001_initial'),
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Record',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('external_id', models.TextField(db_collation='C')),
                ('fields', models.JSONField()),
                ('metadata', models.JSONField(default=dict, null=True)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('completed', 'Completed')], default='pending', max_length=10)),
                ('updated_at', models.DateTimeField()),
                ('dataset', apps.core.fields.TenantLink(related_name='records', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'record',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RecordMetadata',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'record_id', 'number', 'ordinal', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveSmallIntegerField()),
                ('ordinal', models.PositiveSmallIntegerField(default=0)),
                ('dataset_id', models.UUIDField()),
                ('term', models.TextField(db_collation='C', null=True)),
                ('value', models.FloatField(null=True)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
            ],
            options={
                'db_table': 'record_metadata',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RecordVector',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'settings_id', 'record_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('embedding', pgvector.django.vector.VectorField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='vectors', to='records.record')),
                ('settings', apps.core.fields.TenantLink(related_name='+', to='datasets.vectorsettings')),
            ],
            options={
                'db_table': 'record_vector',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Suggestion',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('dataset_id', models.UUIDField()),
                ('value', models.JSONField()),
                ('value_key', models.TextField(db_collation='C', null=True)),
                ('score', models.JSONField(null=True)),
                ('certainty', models.FloatField(null=True)),
                ('agent', models.CharField(blank=True, max_length=200, null=True)),
                ('type', models.CharField(choices=[('model', 'Model'), ('human', 'Human')], max_length=10, null=True)),
                ('updated_at', models.DateTimeField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('question', apps.core.fields.TenantLink(related_name='+', to='datasets.question')),
                ('record', apps.core.fields.TenantLink(related_name='suggestions', to='records.record')),
            ],
            options={
                'db_table': 'suggestion',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='DatasetCounter',
            fields=[
                ('dataset', apps.core.fields.TenantKey(related_name='counter', serialize=False, to='datasets.dataset')),
                ('records', models.BigIntegerField(default=0)),
                ('completed', models.BigIntegerField(default=0)),
                ('reopened_at', models.DateTimeField(null=True)),
                ('last_activity_at', models.DateTimeField(null=True)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'dataset_counter',
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('completed__gte', 0), ('completed__lte', models.F('records'))), name='dataset_counter_completed_within_records')],
            },
        ),
        migrations.CreateModel(
            name='RecordTask',
            fields=[
                ('record', apps.core.fields.TenantKey(related_name='task', serialize=False, to='records.record')),
                ('submitted', models.PositiveSmallIntegerField(default=0)),
                ('open_slots', models.PositiveSmallIntegerField()),
                ('settled', models.BooleanField(db_default=False, default=False)),
                ('certainty', models.FloatField(default=0)),
                ('dataset', apps.core.fields.TenantLink(constrained=False, related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'record_task',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SearchDocument',
            fields=[
                ('record', apps.core.fields.TenantKey(related_name='+', serialize=False, to='records.record')),
                ('dataset_id', models.UUIDField()),
                ('document', django.contrib.postgres.search.SearchVectorField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'record_search',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(fields=['organization', 'dataset', 'id'], name='record_feed'),
        ),
        migrations.AddIndex(
            model_name='record',
            index=models.Index(fields=['organization', 'dataset', 'status', 'id'], name='record_feed_status'),
        ),
        migrations.AddConstraint(
            model_name='record',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'external_id'), name='record_external_id_unique'),
        ),
        migrations.AddConstraint(
            model_name='record',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'completed'])), name='record_status_known'),
        ),
        migrations.AddIndex(
            model_name='recordmetadata',
            index=models.Index(condition=models.Q(('term__isnull', False)), fields=['organization', 'dataset_id', 'number', 'term', 'record'], name='record_metadata_term'),
        ),
        migrations.AddIndex(
            model_name='recordmetadata',
            index=models.Index(condition=models.Q(('value__isnull', False)), fields=['organization', 'dataset_id', 'number', 'value', 'record'], name='record_metadata_value'),
        ),
        migrations.AddConstraint(
            model_name='recordmetadata',
            constraint=models.CheckConstraint(condition=models.Q(('term__isnull', False), ('value__isnull', False), _connector='XOR'), name='record_metadata_term_or_value'),
        ),
        migrations.AddIndex(
            model_name='suggestion',
            index=models.Index(condition=models.Q(('value_key__isnull', False)), fields=['organization', 'dataset_id', 'question', 'value_key', 'record'], name='suggestion_value'),
        ),
        migrations.AddIndex(
            model_name='suggestion',
            index=models.Index(condition=models.Q(('certainty__isnull', False)), fields=['organization', 'dataset_id', 'question', 'certainty', 'record'], name='suggestion_certainty'),
        ),
        migrations.AddIndex(
            model_name='suggestion',
            index=models.Index(fields=['organization', 'dataset_id', 'question', 'agent'], name='suggestion_agent'),
        ),
        migrations.AddIndex(
            model_name='searchdocument',
            index=models.Index(fields=['organization', 'dataset_id', 'record'], name='record_search_feed'),
        ),
        migrations.AddConstraint(
            model_name='suggestion',
            constraint=models.UniqueConstraint(fields=('organization', 'record', 'question'), name='suggestion_unique_per_question'),
        ),
        migrations.AddConstraint(
            model_name='suggestion',
            constraint=models.CheckConstraint(condition=models.Q(('type__isnull', True), ('type__in', ['model', 'human']), _connector='OR'), name='suggestion_type_known'),
        ),
        migrations.AddIndex(
            model_name='recordtask',
            index=models.Index(condition=models.Q(('open_slots__gt', 0)), fields=['organization', 'dataset', 'record'], name='record_task_open'),
        ),
        migrations.AddIndex(
            model_name='recordtask',
            index=models.Index(condition=models.Q(('open_slots__gt', 0)), fields=['organization', 'dataset', 'certainty', 'record'], name='record_task_uncertain'),
        ),
        Isolate("Record"),
        Isolate("RecordTask"),
        Isolate("RecordMetadata"),
        Isolate("RecordVector"),
        Isolate("Suggestion"),
        Isolate("DatasetCounter"),
        migrations.RunSQL(TUNING, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(EXPECTATION, reverse_sql=migrations.RunSQL.noop),
        Isolate("SearchDocument", owner="stoneware_search"),
    ]
