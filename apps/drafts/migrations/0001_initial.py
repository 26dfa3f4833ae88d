import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.contrib.postgres.fields
import django.utils.timezone
from apps.core.isolation import Isolate
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0001_initial'),
        ('jobs', '0001_initial'),
        ('organizations', '0001_initial'),
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('seq', models.PositiveIntegerField()),
                ('ordinal', models.PositiveIntegerField(default=0)),
                ('recipe', models.CharField(max_length=60)),
                ('agent', models.CharField(max_length=200)),
                ('prompt_version_id', models.UUIDField(null=True)),
                ('parents', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None)),
                ('group', models.CharField(blank=True, default='', max_length=500)),
                ('fields', models.JSONField()),
                ('metadata', models.JSONField(default=dict)),
                ('suggestions', models.JSONField(default=list)),
                ('digest', models.CharField(max_length=64)),
                ('compared', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('like', models.UUIDField(null=True)),
                ('score', models.FloatField(null=True)),
                ('keep', models.BooleanField(null=True)),
                ('reasons', models.JSONField(default=list)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('accepted', 'Accepted'), ('discarded', 'Discarded')], default='waiting', max_length=10)),
                ('decision', models.UUIDField(null=True)),
                ('decided_at', models.DateTimeField(null=True)),
                ('written', models.JSONField(null=True)),
                ('edited_at', models.DateTimeField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='drafts', to='datasets.dataset')),
                ('decided_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('edited_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('job', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='jobs.job')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='records.record')),
            ],
            options={
                'db_table': 'draft',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='DraftBand',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'dataset_id', 'band', 'draft_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('dataset_id', models.UUIDField()),
                ('band', models.BigIntegerField()),
                ('draft', apps.core.fields.TenantLink(related_name='+', to='drafts.draft')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'draft_band',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='draft',
            index=models.Index(fields=['organization', 'dataset', 'state', 'id'], name='draft_feed'),
        ),
        migrations.AddIndex(
            model_name='draft',
            index=models.Index(fields=['organization', 'job', 'group'], name='draft_quota'),
        ),
        migrations.AddIndex(
            model_name='draft',
            index=models.Index(condition=models.Q(('decision__isnull', False)), fields=['organization', 'decision'], name='draft_decision'),
        ),
        migrations.AddIndex(
            model_name='draft',
            index=models.Index(condition=models.Q(('record__isnull', False)), fields=['organization', 'record'], name='draft_origin'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'accepted', 'discarded'])), name='draft_state_known'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.UniqueConstraint(fields=('organization', 'job', 'seq', 'ordinal'), name='draft_unique_in_job'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.UniqueConstraint(fields=('organization', 'job', 'digest'), name='draft_says_something_new'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('decision', None), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), ('decided_at__isnull', False), ('decision__isnull', False)), _connector='OR'), name='draft_decided_has_decision'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.CheckConstraint(condition=models.Q(('record', None), ('state', 'accepted'), _connector='OR'), name='draft_with_record_is_accepted'),
        ),
        migrations.AddConstraint(
            model_name='draft',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('edited_at', None), ('edited_by', None), ('written__isnull', True)), models.Q(('edited_at__isnull', False), ('written__isnull', False)), _connector='OR'), name='draft_edited_keeps_what_was_written'),
        ),
        migrations.AddIndex(
            model_name='draftband',
            index=models.Index(fields=['organization', 'draft'], name='draft_band_of_draft'),
        ),
        Isolate("Draft"),
        Isolate("DraftBand"),
    ]
