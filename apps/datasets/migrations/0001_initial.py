import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.db.models.manager
import django.utils.timezone
from apps.core.isolation import Isolate
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('organizations', '0001_initial'),
        ('workspaces', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=200)),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('ready', 'Ready')], default='draft', max_length=10)),
                ('guidelines', models.TextField(blank=True, null=True)),
                ('guidelines_version', models.PositiveIntegerField(default=0)),
                ('allow_extra_metadata', models.BooleanField(default=True)),
                ('min_submitted', models.PositiveSmallIntegerField(default=1)),
                ('queue_order', models.CharField(choices=[('oldest_first', 'Oldest First'), ('least_certain_first', 'Least Certain First')], default='oldest_first', max_length=20)),
                ('daily_quota', models.PositiveIntegerField(blank=True, null=True)),
                ('total_quota', models.PositiveIntegerField(blank=True, null=True)),
                ('metadata', models.JSONField(blank=True, null=True)),
                ('schema_version', models.PositiveIntegerField(default=0)),
                ('last_property_number', models.PositiveSmallIntegerField(default=0)),
                ('last_activity_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('answers_rewritten_at', models.DateTimeField(null=True)),
                ('archived_at', models.DateTimeField(null=True)),
                ('trashed_at', models.DateTimeField(null=True)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('workspace', apps.core.fields.TenantLink(related_name='datasets', to='workspaces.workspace')),
            ],
            options={
                'db_table': 'dataset',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Field',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=200)),
                ('title', models.CharField(max_length=500)),
                ('required', models.BooleanField(default=False)),
                ('settings', models.JSONField()),
                ('dataset', apps.core.fields.TenantLink(related_name='fields', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'field',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='GuidelinesVersion',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('number', models.PositiveIntegerField()),
                ('text', models.TextField(blank=True)),
                ('author', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(related_name='guidelines_versions', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'guidelines_version',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='MetadataProperty',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('number', models.PositiveSmallIntegerField()),
                ('name', models.CharField(max_length=200)),
                ('title', models.CharField(max_length=500)),
                ('settings', models.JSONField()),
                ('visible_for_annotators', models.BooleanField(default=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='metadata_properties', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'metadata_property',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Question',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=200)),
                ('title', models.CharField(max_length=500)),
                ('description', models.CharField(blank=True, max_length=1000, null=True)),
                ('required', models.BooleanField(default=False)),
                ('settings', models.JSONField()),
                ('position', models.PositiveIntegerField(default=0)),
                ('retired_at', models.DateTimeField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='questions', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'question',
                'base_manager_name': 'every',
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('every', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='VectorSettings',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=200)),
                ('title', models.CharField(max_length=500)),
                ('dimensions', models.PositiveIntegerField()),
                ('dataset', apps.core.fields.TenantLink(related_name='vectors_settings', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'vector_settings',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.UniqueConstraint(condition=models.Q(('trashed_at__isnull', True)), fields=('organization', 'workspace', 'name'), name='dataset_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='dataset_name_given'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('min_submitted__gte', 1)), name='dataset_min_submitted_positive'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('daily_quota__isnull', True), ('daily_quota__gte', 1), _connector='OR'), name='dataset_daily_quota_positive'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('total_quota__isnull', True), ('total_quota__gte', 1), _connector='OR'), name='dataset_total_quota_positive'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'ready'])), name='dataset_status_known'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('queue_order__in', ['oldest_first', 'least_certain_first'])), name='dataset_queue_order_known'),
        ),
        migrations.AddConstraint(
            model_name='field',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'name'), name='field_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='field',
            constraint=models.CheckConstraint(condition=models.Q(('settings__has_key', 'type'), ('settings__type__in', ['text', 'image', 'chat', 'custom'])), name='field_type_known'),
        ),
        migrations.AddConstraint(
            model_name='guidelinesversion',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'number'), name='guidelines_version_number_unique'),
        ),
        migrations.AddConstraint(
            model_name='metadataproperty',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'name'), name='metadata_property_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='metadataproperty',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'number'), name='metadata_property_number_unique'),
        ),
        migrations.AddConstraint(
            model_name='metadataproperty',
            constraint=models.CheckConstraint(condition=models.Q(('settings__has_key', 'type'), ('settings__type__in', ['terms', 'integer', 'float'])), name='metadata_property_type_known'),
        ),
        migrations.AddConstraint(
            model_name='question',
            constraint=models.UniqueConstraint(condition=models.Q(('retired_at__isnull', True)), fields=('organization', 'dataset', 'name'), name='question_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='question',
            constraint=models.CheckConstraint(condition=models.Q(('settings__has_key', 'type'), ('settings__type__in', ['text', 'rating', 'label_selection', 'multi_label_selection', 'ranking', 'span'])), name='question_type_known'),
        ),
        migrations.AddConstraint(
            model_name='vectorsettings',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'name'), name='vector_settings_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='vectorsettings',
            constraint=models.CheckConstraint(condition=models.Q(('dimensions__gte', 1)), name='vector_settings_dimensions_positive'),
        ),
        Isolate("Dataset"),
        Isolate("Field"),
        Isolate("Question"),
        Isolate("MetadataProperty"),
        Isolate("VectorSettings"),
        Isolate("GuidelinesVersion"),
    ]
