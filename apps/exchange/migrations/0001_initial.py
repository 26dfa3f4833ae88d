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
        ('jobs', '0001_initial'),
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='CopiedObject',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'kind', 'source_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('workspace', 'Workspace'), ('user', 'User'), ('dataset', 'Dataset')], max_length=10)),
                ('source_id', models.UUIDField()),
                ('target_id', models.UUIDField()),
                ('progress', models.JSONField(default=dict)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'copied_object',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='copiedobject',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['workspace', 'user', 'dataset'])), name='copied_object_kind_known'),
        ),
        Isolate("CopiedObject", top=True),
        migrations.CreateModel(
            name='DatasetSketch',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('source', models.CharField(choices=[('upload', 'Upload'), ('paste', 'Paste'), ('dataset', 'Dataset'), ('empty', 'Empty')], max_length=10)),
                ('file_name', models.CharField(default='', max_length=200)),
                ('format', models.CharField(choices=[('csv', 'Csv'), ('jsonl', 'Jsonl'), ('json', 'Json'), ('parquet', 'Parquet'), ('conll', 'Conll')], max_length=10, null=True)),
                ('size', models.BigIntegerField(default=0)),
                ('content', models.JSONField(default=dict)),
                ('is_finished', models.BooleanField(default=False)),
                ('author', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='datasets.dataset')),
                ('job', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='jobs.job')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'dataset_sketch',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'author', 'updated_at'], name='sketch_author')],
                'constraints': [models.CheckConstraint(condition=models.Q(('source__in', ['upload', 'paste', 'dataset', 'empty'])), name='dataset_sketch_source_known'), models.CheckConstraint(condition=models.Q(('format__in', ['csv', 'jsonl', 'json', 'parquet', 'conll'])), name='dataset_sketch_format_known')],
            },
        ),
        Isolate("DatasetSketch"),
    ]
