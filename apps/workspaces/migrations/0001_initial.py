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
            name='Workspace',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=200)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'workspace',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='WorkspaceMembership',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('role', models.CharField(blank=True, choices=[('owner', 'Owner'), ('admin', 'Admin'), ('reviewer', 'Reviewer'), ('annotator', 'Annotator')], max_length=20, null=True)),
                ('membership', apps.core.fields.TenantLink(related_name='workspace_memberships', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('workspace', apps.core.fields.TenantLink(related_name='memberships', to='workspaces.workspace')),
            ],
            options={
                'db_table': 'workspace_membership',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='InvitedPlace',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'invitation_id', 'workspace_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(blank=True, choices=[('owner', 'Owner'), ('admin', 'Admin'), ('reviewer', 'Reviewer'), ('annotator', 'Annotator')], max_length=20, null=True)),
                ('invitation', apps.core.fields.TenantLink(related_name='places', to='organizations.invitation')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('workspace', apps.core.fields.TenantLink(related_name='+', to='workspaces.workspace')),
            ],
            options={
                'db_table': 'invited_place',
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('role__isnull', True), ('role__in', ['admin', 'reviewer', 'annotator']), _connector='OR'), name='invited_place_role_known')],
            },
        ),
        migrations.AddConstraint(
            model_name='workspace',
            constraint=models.UniqueConstraint(fields=('organization', 'name'), name='workspace_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='workspace',
            constraint=models.CheckConstraint(condition=models.Q(('name__regex', '^[a-zA-Z0-9_-]+$')), name='workspace_name_has_wire_form'),
        ),
        migrations.AddConstraint(
            model_name='workspacemembership',
            constraint=models.UniqueConstraint(fields=('organization', 'workspace', 'membership'), name='workspace_membership_unique'),
        ),
        migrations.AddConstraint(
            model_name='workspacemembership',
            constraint=models.CheckConstraint(condition=models.Q(('role__isnull', True), ('role__in', ['admin', 'reviewer', 'annotator']), _connector='OR'), name='workspace_membership_role_known'),
        ),
        Isolate("Workspace", top=True),
        Isolate("WorkspaceMembership"),
        Isolate("InvitedPlace"),
    ]
