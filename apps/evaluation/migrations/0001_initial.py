import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.utils.timezone
from apps.core.isolation import Isolate
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0001_initial'),
        ('jobs', '0001_initial'),
        ('organizations', '0001_initial'),
        ('pipelines', '0001_initial'),
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='GoldSet',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('number', models.PositiveIntegerField()),
                ('test_percent', models.PositiveSmallIntegerField(default=50)),
                ('size', models.PositiveIntegerField()),
                ('test_size', models.PositiveIntegerField()),
                ('digest', models.CharField(max_length=64)),
                ('test_looks', models.PositiveIntegerField(default=0)),
                ('note', models.TextField(blank=True)),
                ('created_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(related_name='gold_sets', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('question', apps.core.fields.TenantLink(related_name='gold_sets', to='datasets.question')),
            ],
            options={
                'db_table': 'gold_set',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='GoldAnswer',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'gold_set_id', 'record_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('split', models.CharField(choices=[('dev', 'Development'), ('test', 'Test')], max_length=4)),
                ('source', models.CharField(choices=[('adjudicated', 'Decided by a reviewer'), ('consensus', 'People agree')], max_length=11)),
                ('value', models.JSONField()),
                ('people', models.JSONField(default=list)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
                ('gold_set', apps.core.fields.TenantLink(related_name='answers', to='evaluation.goldset')),
            ],
            options={
                'db_table': 'gold_answer',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Evaluation',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('agent', models.CharField(max_length=200)),
                ('look', models.PositiveIntegerField(null=True)),
                ('reports', models.JSONField(default=dict)),
                ('measured_at', models.DateTimeField(null=True)),
                ('created_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('job', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='jobs.job')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('prompt_version', apps.core.fields.TenantLink(null=True, related_name='evaluations', to='pipelines.promptversion')),
                ('gold_set', apps.core.fields.TenantLink(related_name='evaluations', to='evaluation.goldset')),
            ],
            options={
                'db_table': 'prompt_evaluation',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='EvaluationAnswer',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'evaluation_id', 'record_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('value', models.JSONField()),
                ('confidence', models.FloatField(null=True)),
                ('rationale', models.TextField(blank=True)),
                ('prompt_tokens', models.PositiveIntegerField(default=0)),
                ('completion_tokens', models.PositiveIntegerField(default=0)),
                ('usd', models.DecimalField(decimal_places=8, default=Decimal('0'), max_digits=14)),
                ('evaluation', apps.core.fields.TenantLink(related_name='answers', to='evaluation.evaluation')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
            ],
            options={
                'db_table': 'evaluation_answer',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'record'], name='evaluation_answer_record')],
            },
        ),
        migrations.AddIndex(
            model_name='goldset',
            index=models.Index(fields=['organization', 'dataset', 'id'], name='gold_set_list'),
        ),
        migrations.AddConstraint(
            model_name='goldset',
            constraint=models.UniqueConstraint(fields=('organization', 'question', 'number'), name='gold_set_number_unique'),
        ),
        migrations.AddConstraint(
            model_name='goldset',
            constraint=models.CheckConstraint(condition=models.Q(('size__gte', 1), ('test_size__lte', models.F('size'))), name='gold_set_test_within_size'),
        ),
        migrations.AddConstraint(
            model_name='goldset',
            constraint=models.CheckConstraint(condition=models.Q(('test_percent__lte', 100)), name='gold_set_percent_known'),
        ),
        migrations.AddIndex(
            model_name='goldanswer',
            index=models.Index(fields=['organization', 'record'], name='gold_answer_record'),
        ),
        migrations.AddConstraint(
            model_name='goldanswer',
            constraint=models.CheckConstraint(condition=models.Q(('split__in', ['dev', 'test'])), name='gold_answer_split_known'),
        ),
        migrations.AddConstraint(
            model_name='goldanswer',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['adjudicated', 'consensus'])), name='gold_answer_source_known'),
        ),
        migrations.AddIndex(
            model_name='evaluation',
            index=models.Index(fields=['organization', 'gold_set', 'id'], name='prompt_evaluation_list'),
        ),
        migrations.AddIndex(
            model_name='evaluation',
            index=models.Index(fields=['organization', 'job'], name='prompt_evaluation_job'),
        ),
        migrations.AddConstraint(
            model_name='evaluation',
            constraint=models.CheckConstraint(condition=models.Q(('look__isnull', True), ('look__gte', 1), _connector='OR'), name='prompt_evaluation_look_counts'),
        ),
        Isolate("GoldSet"),
        Isolate("GoldAnswer"),
        Isolate("Evaluation"),
        Isolate("EvaluationAnswer"),
    ]
