import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.utils.timezone
from apps.core.isolation import Isolate
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0001_initial'),
        ('organizations', '0001_initial'),
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Annotator',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'dataset_id', 'user_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('cursor_id', models.UUIDField(null=True)),
                ('exhausted_at', models.DateTimeField(null=True)),
                ('first_response_at', models.DateTimeField(null=True)),
                ('day', models.DateField(null=True)),
                ('submitted_today', models.PositiveIntegerField(default=0)),
                ('daily_quota', models.PositiveIntegerField(null=True)),
                ('total_quota', models.PositiveIntegerField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='annotators', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('user', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'annotator',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Lease',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'record_id', 'user_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('expires_at', models.DateTimeField()),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
                ('user', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'lease',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['expires_at'], name='lease_expiry'), models.Index(fields=['organization', 'dataset', 'user', 'record'], name='lease_holder')],
            },
        ),
        migrations.CreateModel(
            name='Response',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('values', models.JSONField(default=dict)),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('discarded', 'Discarded')], max_length=10)),
                ('request_key', models.UUIDField(blank=True, null=True)),
                ('updated_at', models.DateTimeField()),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='responses', to='records.record')),
                ('user', apps.core.fields.TenantLink(database_delete='NO ACTION', related_name='responses', to='organizations.membership')),
            ],
            options={
                'db_table': 'response',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset', 'user', 'status', 'record'], name='response_annotator'), models.Index(fields=['organization', 'dataset', 'user', 'updated_at'], name='response_latest')],
                'constraints': [models.UniqueConstraint(fields=('organization', 'record', 'user'), name='response_unique_per_annotator'), models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'submitted', 'discarded'])), name='response_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'submitted'), _negated=True), models.Q(('values', {}), _negated=True), _connector='OR'), name='response_submitted_has_values')],
            },
        ),
        migrations.CreateModel(
            name='ResponseVersion',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('discarded', 'Discarded')], max_length=10, null=True)),
                ('values', models.JSONField(default=dict)),
                ('request_key', models.UUIDField(null=True)),
                ('inserted_at', models.DateTimeField(null=True)),
                ('updated_at', models.DateTimeField(null=True)),
                ('replaced_by', models.UUIDField(null=True)),
                ('replaced_at', models.DateTimeField()),
                ('undone_at', models.DateTimeField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
                ('user', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'response_version',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset', 'user', 'replaced_at'], name='response_version_history'), models.Index(fields=['replaced_at'], name='response_version_age')],
                'constraints': [models.UniqueConstraint(fields=('organization', 'record', 'user', 'replaced_by'), name='response_version_unique_per_act'), models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'submitted', 'discarded'])), name='response_version_status_known'), models.CheckConstraint(condition=models.Q(models.Q(('inserted_at__isnull', True), ('request_key__isnull', True), ('status__isnull', True), ('updated_at__isnull', True), ('values', {})), models.Q(('inserted_at__isnull', False), ('status__isnull', False), ('updated_at__isnull', False)), _connector='OR'), name='response_version_all_or_nothing')],
            },
        ),
        migrations.CreateModel(
            name='SchemaChange',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('edit', models.JSONField()),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField(default=dict)),
                ('counts', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('running', 'Running'), ('done', 'Done')], default='running', max_length=10)),
                ('job_id', models.UUIDField(null=True)),
                ('undoes', models.UUIDField(null=True)),
                ('undone_at', models.DateTimeField(null=True)),
                ('created_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(related_name='schema_changes', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'schema_change',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset', 'id'], name='schema_change_list')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['running', 'done'])), name='schema_change_state_known')],
            },
        ),
        migrations.CreateModel(
            name='RewrittenAnswer',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('part', models.CharField(choices=[('response', 'Answer'), ('suggestion', 'Suggestion'), ('adjudication', 'Decision')], max_length=12)),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField(default=dict)),
                ('status_before', models.CharField(blank=True, default='', max_length=10)),
                ('status_after', models.CharField(blank=True, default='', max_length=10)),
                ('change', apps.core.fields.TenantLink(related_name='rewritten', to='annotation.schemachange')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
                ('user', apps.core.fields.TenantLink(null=True, related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'rewritten_answer',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'change', 'record', 'part', 'user'), name='rewritten_answer_once_a_change', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('part__in', ['response', 'suggestion', 'adjudication'])), name='rewritten_answer_part_known')],
            },
        ),
        Isolate("Response"),
        Isolate("ResponseVersion"),
        Isolate("Lease"),
        Isolate("Annotator"),
        Isolate("SchemaChange"),
        Isolate("RewrittenAnswer"),
    ]
