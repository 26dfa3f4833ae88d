import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.utils.timezone
from apps.core.isolation import Isolate
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('kind', models.CharField(max_length=60)),
                ('actor_id', models.UUIDField(blank=True, null=True)),
                ('dataset_id', models.UUIDField(blank=True, null=True)),
                ('object_id', models.UUIDField(blank=True, null=True)),
                ('payload', models.JSONField(default=dict)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'event',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset_id', 'id'], name='event_dataset'), models.Index(fields=['organization', 'kind', 'id'], name='event_kind')],
            },
        ),
        migrations.CreateModel(
            name='EventSubscription',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'kind', blank=True, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=60)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'event_subscription',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='WaitingEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'event_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'waiting_event',
                'base_manager_name': 'objects',
            },
        ),
        Isolate("Event", top=True),
        Isolate("EventSubscription", top=True),
        Isolate("WaitingEvent", top=True),
    ]
