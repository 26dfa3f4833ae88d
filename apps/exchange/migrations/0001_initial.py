import apps.core.fields
import apps.core.tenancy
from apps.core.isolation import Isolate
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
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
    ]
