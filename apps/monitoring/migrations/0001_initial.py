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
            name='Monitor',
            fields=[
                ('question', apps.core.fields.TenantKey(related_name='monitor', serialize=False, to='datasets.question')),
                ('threshold', models.FloatField(null=True)),
                ('random_percent', models.FloatField(default=0)),
                ('against_head', models.BooleanField(default=False)),
                ('daily_limit', models.PositiveIntegerField(default=500)),
                ('keep_days', models.PositiveSmallIntegerField(default=90)),
                ('retrain_every', models.PositiveIntegerField(null=True)),
                ('answers', models.PositiveIntegerField(default=0)),
                ('noticed_at', models.DateTimeField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='monitors', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'monitor',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Prediction',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('external_id', models.CharField(db_collation='C', max_length=400)),
                ('fields', models.JSONField()),
                ('value', models.JSONField()),
                ('score', models.FloatField(null=True)),
                ('model', models.CharField(blank=True, max_length=200)),
                ('predicted_at', models.DateTimeField()),
                ('routed', models.CharField(choices=[('no', 'Not routed'), ('random', 'Random share'), ('score', 'Low score'), ('head', 'Differs from the few-shot head')], default='no', max_length=6)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('monitor', apps.core.fields.TenantLink(related_name='predictions', to='monitoring.monitor')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='records.record')),
            ],
            options={
                'db_table': 'prediction',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='PredictionCount',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'monitor_id', 'day', 'model', 'label', 'bin', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('model', models.CharField(db_collation='C', max_length=200)),
                ('label', models.CharField(db_collation='C', max_length=200)),
                ('bin', models.SmallIntegerField()),
                ('n', models.PositiveIntegerField()),
                ('monitor', apps.core.fields.TenantLink(related_name='counts', to='monitoring.monitor')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'prediction_count',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='monitor',
            index=models.Index(fields=['organization', 'dataset'], name='monitor_list'),
        ),
        migrations.AddConstraint(
            model_name='monitor',
            constraint=models.CheckConstraint(condition=models.Q(('threshold__isnull', True), models.Q(('threshold__gte', 0), ('threshold__lte', 1)), _connector='OR'), name='monitor_threshold_is_a_share'),
        ),
        migrations.AddConstraint(
            model_name='monitor',
            constraint=models.CheckConstraint(condition=models.Q(('random_percent__gte', 0), ('random_percent__lte', 100)), name='monitor_percent_known'),
        ),
        migrations.AddConstraint(
            model_name='monitor',
            constraint=models.CheckConstraint(condition=models.Q(('keep_days__gte', 1)), name='monitor_keeps_a_day'),
        ),
        migrations.AddConstraint(
            model_name='monitor',
            constraint=models.CheckConstraint(condition=models.Q(('retrain_every__isnull', True), ('retrain_every__gte', 1), _connector='OR'), name='monitor_retrains_after_some'),
        ),
        migrations.AddIndex(
            model_name='prediction',
            index=models.Index(fields=['organization', 'monitor', 'predicted_at', 'id'], name='prediction_feed'),
        ),
        migrations.AddIndex(
            model_name='prediction',
            index=models.Index(condition=models.Q(('routed', 'no'), _negated=True), fields=['organization', 'monitor', 'predicted_at'], name='prediction_routed'),
        ),
        migrations.AddIndex(
            model_name='prediction',
            index=models.Index(condition=models.Q(('record__isnull', False)), fields=['organization', 'record'], name='prediction_of_record'),
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.UniqueConstraint(fields=('organization', 'monitor', 'external_id'), name='prediction_external_id_unique'),
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(('routed__in', ['no', 'random', 'score', 'head'])), name='prediction_routed_known'),
        ),
        migrations.AddConstraint(
            model_name='prediction',
            constraint=models.CheckConstraint(condition=models.Q(('score__isnull', True), models.Q(('score__gte', 0), ('score__lte', 1)), _connector='OR'), name='prediction_score_is_a_share'),
        ),
        Isolate("Monitor"),
        Isolate("Prediction"),
        Isolate("PredictionCount"),
    ]
