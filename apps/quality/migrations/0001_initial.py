import apps.core.fields
import apps.core.tenancy
from apps.core.isolation import Isolate
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0001_initial'),
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='TrainedHead',
            fields=[
                ('question', apps.core.fields.TenantKey(related_name='trained_head', serialize=False, to='datasets.question')),
                ('job_id', models.UUIDField()),
                ('classes', models.JSONField()),
                ('is_multi', models.BooleanField()),
                ('coefficients', models.BinaryField()),
                ('intercepts', models.BinaryField()),
                ('examples', models.PositiveIntegerField()),
                ('trained_at', models.DateTimeField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'trained_head',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SuggesterSettings',
            fields=[
                ('question', apps.core.fields.TenantKey(related_name='suggester', serialize=False, to='datasets.question')),
                ('enabled', models.BooleanField(default=True)),
                ('every', models.PositiveIntegerField(default=20)),
                ('limit', models.PositiveIntegerField(default=10000)),
                ('answers', models.PositiveIntegerField(default=0)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'suggester_settings',
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('enabled', True)), fields=['organization', 'dataset'], name='suggester_settings_enabled')],
                'constraints': [models.CheckConstraint(condition=models.Q(('every__gte', 1), ('limit__gte', 1)), name='suggester_settings_numbers_positive')],
            },
        ),
        Isolate("SuggesterSettings"),
        Isolate("TrainedHead"),
    ]
