import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.db.models.expressions
import django.utils.timezone
from apps.core.isolation import Isolate
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('organizations', '0001_initial'),
        ('workspaces', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(max_length=60)),
                ('queue', models.CharField(choices=[('bulk', 'Bulk'), ('interactive', 'Interactive')], default='bulk', max_length=11)),
                ('dataset_id', models.UUIDField(null=True)),
                ('subject', models.CharField(max_length=100, null=True)),
                ('params', models.JSONField(default=dict)),
                ('secret', models.BinaryField(null=True)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('paused', 'Paused'), ('cancelling', 'Cancelling'), ('cancelled', 'Cancelled'), ('done', 'Done'), ('failed', 'Failed')], default='queued', max_length=10)),
                ('total', models.PositiveIntegerField(default=0)),
                ('done', models.PositiveIntegerField(default=0)),
                ('failed', models.PositiveIntegerField(default=0)),
                ('error_sample', models.JSONField(default=list)),
                ('cost', models.DecimalField(decimal_places=8, default=Decimal('0'), max_digits=14)),
                ('run', models.PositiveIntegerField(default=0)),
                ('run_until', models.DateTimeField(null=True)),
                ('planned_at', models.DateTimeField(null=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('created_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('workspace', apps.core.fields.TenantLink(null=True, related_name='+', to='workspaces.workspace')),
            ],
            options={
                'db_table': 'job',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='JobItem',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'job_id', 'seq', blank=True, editable=False, primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField()),
                ('payload', models.JSONField()),
                ('size', models.PositiveIntegerField(default=1)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('leased', 'Leased'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='pending', max_length=10)),
                ('run', models.PositiveIntegerField(null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('waits', models.PositiveIntegerField(default=0)),
                ('losses', models.PositiveSmallIntegerField(default=0)),
                ('available_at', models.DateTimeField(null=True)),
                ('error', models.TextField(null=True)),
                ('job', apps.core.fields.TenantLink(related_name='items', to='jobs.job')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'job_item',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='JobReject',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'job_id', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveBigIntegerField()),
                ('reason', models.TextField()),
                ('original', models.TextField(default='')),
                ('job', apps.core.fields.TenantLink(related_name='rejects', to='jobs.job')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'job_reject',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['organization', 'dataset_id', 'id'], name='job_dataset'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['organization', 'workspace', 'id'], name='job_workspace'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('state__in', ('queued', 'running', 'cancelling'))), fields=['run_until'], name='job_waiting'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'paused', 'cancelling', 'cancelled', 'done', 'failed'])), name='job_state_known'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('queue__in', ['bulk', 'interactive'])), name='job_queue_known'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('total__gte', django.db.models.expressions.CombinedExpression(models.F('done'), '+', models.F('failed')))), name='job_counters_within_total'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ('cancelled', 'done', 'failed'))), models.Q(models.Q(('state__in', ('cancelled', 'done', 'failed')), _negated=True), ('finished_at__isnull', True)), _connector='OR'), name='job_ended_has_finished_at'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('secret__isnull', True), models.Q(('state__in', ('cancelled', 'done', 'failed')), _negated=True), _connector='OR'), name='job_ended_has_no_secret'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running', 'cancelling', 'paused')), ('subject__isnull', False)), fields=('organization', 'kind', 'subject'), name='job_one_unfinished_per_subject'),
        ),
        migrations.AddIndex(
            model_name='jobitem',
            index=models.Index(condition=models.Q(('state__in', ('pending', 'leased'))), fields=['organization', 'job', 'seq'], name='job_item_open'),
        ),
        migrations.AddIndex(
            model_name='jobitem',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['organization', 'job', 'seq'], name='job_item_failed'),
        ),
        migrations.AddConstraint(
            model_name='jobitem',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'leased', 'done', 'failed', 'cancelled'])), name='job_item_state_known'),
        ),
        migrations.AddConstraint(
            model_name='jobitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('run__isnull', False), ('state', 'leased')), models.Q(models.Q(('state', 'leased'), _negated=True), ('run__isnull', True)), _connector='OR'), name='job_item_leased_has_run'),
        ),
        Isolate("Job", top=True),
        Isolate("JobItem"),
        Isolate("JobReject"),
    ]
