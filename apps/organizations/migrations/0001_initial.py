import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import apps.organizations.models
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from apps.core.isolation import Isolate
from django.db import migrations, models


# What must be known before the tenant is: whose key this is, who a bearer token names, which
# organization answers to this name or is the only one, and where an account is a member. Each
# function answers that one question and no other, and only for the application. Without pg_temp at the end of the path a temporary table of the
# caller's would come before the real one, and be read with the operator's rights.
LOOKUPS = """
CREATE FUNCTION find_api_key(key_digest text)
RETURNS TABLE (organization_id uuid, key_id uuid, last_used_at timestamptz, scopes text[],
    expires_at timestamptz, id uuid, inserted_at timestamptz, updated_at timestamptz, user_id uuid,
    username text, first_name text, last_name text, role text, is_active boolean,
    is_suspended boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.organization_id, k.id, k.last_used_at, k.scopes::text[], k.expires_at,
        m.id, m.inserted_at, m.updated_at, m.user_id,
        m.username::text, m.first_name::text, m.last_name::text, m.role::text, m.is_active,
        o.suspended_at IS NOT NULL
    FROM api_key k
    JOIN membership m ON m.organization_id = k.organization_id AND m.id = k.membership_id
    JOIN organization o ON o.id = k.organization_id
    LEFT JOIN user_account u ON u.id = m.user_id
    WHERE k.digest = key_digest AND k.revoked_at IS NULL AND m.is_active
      AND coalesce(u.is_active, true)
      AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
CREATE FUNCTION find_member(wanted_organization uuid, wanted_member uuid)
RETURNS TABLE (organization_id uuid, password text, id uuid,
    inserted_at timestamptz, updated_at timestamptz, user_id uuid, username text,
    first_name text, last_name text, role text, is_active boolean, is_suspended boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.organization_id, u.password::text, m.id, m.inserted_at, m.updated_at, m.user_id,
        m.username::text, m.first_name::text, m.last_name::text, m.role::text, m.is_active,
        o.suspended_at IS NOT NULL
    FROM membership m JOIN user_account u ON u.id = m.user_id AND u.is_active
    JOIN organization o ON o.id = m.organization_id
    WHERE m.organization_id = wanted_organization AND m.id = wanted_member AND m.is_active
$$;
CREATE FUNCTION find_organization(wanted_slug text)
RETURNS TABLE (organization_id uuid, organization_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT id, name::text FROM organization WHERE slug = wanted_slug
$$;
CREATE FUNCTION find_domain(wanted_domain text)
RETURNS TABLE (organization_id uuid, organization_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT id, name::text FROM organization
    WHERE domain = wanted_domain AND domain_verified_at IS NOT NULL
$$;
CREATE FUNCTION find_only_organization()
RETURNS TABLE (organization_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT id FROM organization WHERE (SELECT count(*) FROM (SELECT FROM organization LIMIT 2)) = 1
$$;
CREATE FUNCTION find_memberships(account uuid)
RETURNS TABLE (organization_id uuid, slug text, organization_name text, membership_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT o.id, o.slug::text, o.name::text, m.id
    FROM membership m JOIN organization o ON o.id = m.organization_id
    WHERE m.user_id = account AND m.is_active ORDER BY o.slug
$$;
CREATE FUNCTION find_invitation(token_digest text)
RETURNS TABLE (organization_id uuid, invitation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT i.organization_id, i.id FROM invitation i
    WHERE i.digest = token_digest AND i.accepted_at IS NULL AND i.revoked_at IS NULL
      AND i.expires_at > now()
$$;
ALTER FUNCTION find_api_key(text) OWNER TO stoneware_operator;
ALTER FUNCTION find_member(uuid, uuid) OWNER TO stoneware_operator;
ALTER FUNCTION find_organization(text) OWNER TO stoneware_operator;
ALTER FUNCTION find_domain(text) OWNER TO stoneware_operator;
ALTER FUNCTION find_only_organization() OWNER TO stoneware_operator;
ALTER FUNCTION find_memberships(uuid) OWNER TO stoneware_operator;
CREATE FUNCTION is_invited(wanted_email text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM invitation i WHERE i.email = wanted_email
        AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now())
$$;
ALTER FUNCTION find_invitation(text) OWNER TO stoneware_operator;
ALTER FUNCTION is_invited(text) OWNER TO stoneware_operator;
SET LOCAL ROLE stoneware_operator;
REVOKE ALL ON FUNCTION find_api_key(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_member(uuid, uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_organization(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_domain(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_only_organization() FROM PUBLIC;
REVOKE ALL ON FUNCTION find_memberships(uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION find_invitation(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION is_invited(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_member(uuid, uuid) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_organization(text) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_domain(text) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_only_organization() TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_memberships(uuid) TO stoneware_app;
GRANT EXECUTE ON FUNCTION find_invitation(text) TO stoneware_app;
GRANT EXECUTE ON FUNCTION is_invited(text) TO stoneware_app;
RESET ROLE;
"""
DROP_LOOKUPS = """
DROP FUNCTION find_api_key(text);
DROP FUNCTION find_member(uuid, uuid);
DROP FUNCTION find_organization(text);
DROP FUNCTION find_domain(text);
DROP FUNCTION find_only_organization();
DROP FUNCTION find_memberships(uuid);
DROP FUNCTION find_invitation(text);
DROP FUNCTION is_invited(text);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Organization',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('slug', models.CharField(max_length=63, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')])),
                ('name', models.CharField(max_length=200)),
                ('plan', models.CharField(choices=[('self_hosted', 'Self Hosted'), ('starter', 'Starter'), ('base', 'Base'), ('medium', 'Medium'), ('large', 'Large')], default='self_hosted', max_length=20)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('suspended_at', models.DateTimeField(blank=True, null=True)),
                ('suspended_reason', models.CharField(blank=True, default='', max_length=500)),
                ('deletion_due_at', models.DateTimeField(blank=True, null=True)),
                ('requires_mfa', models.BooleanField(default=False)),
                ('invitation_only', models.BooleanField(default=False)),
                ('domain', models.CharField(blank=True, max_length=253, null=True)),
                ('domain_token', models.CharField(blank=True, default='', max_length=64)),
                ('domain_verified_at', models.DateTimeField(blank=True, null=True)),
                ('domain_missing_since', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'organization',
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('username', models.CharField(max_length=200)),
                ('first_name', models.CharField(blank=True, max_length=200)),
                ('last_name', models.CharField(blank=True, max_length=200, null=True)),
                ('role', models.CharField(choices=[('owner', 'Owner'), ('admin', 'Admin'), ('reviewer', 'Reviewer'), ('annotator', 'Annotator')], default='annotator', max_length=20)),
                ('is_active', models.BooleanField(default=True)),
                ('last_seen_at', models.DateTimeField(blank=True, null=True)),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='memberships', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'membership',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(default='default', max_length=100)),
                ('prefix', models.CharField(max_length=16)),
                ('digest', models.CharField(max_length=64)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), default=apps.organizations.models.every_scope, size=None)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_address', models.GenericIPAddressField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('membership', apps.core.fields.TenantLink(related_name='api_keys', to='organizations.membership')),
            ],
            options={
                'db_table': 'api_key',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('email', models.EmailField(max_length=254)),
                ('role', models.CharField(choices=[('owner', 'Owner'), ('admin', 'Admin'), ('reviewer', 'Reviewer'), ('annotator', 'Annotator')], default='annotator', max_length=20)),
                ('digest', models.CharField(max_length=64)),
                ('sent_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('expires_at', models.DateTimeField()),
                ('accepted_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('invited_by', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
                ('membership', apps.core.fields.TenantLink(blank=True, null=True, related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'invitation',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['digest'], name='invitation_digest'), models.Index(fields=['email'], name='invitation_email')],
                'constraints': [models.UniqueConstraint(fields=('organization', 'digest'), name='invitation_digest_unique'), models.UniqueConstraint(condition=models.Q(('accepted_at', None), ('revoked_at', None)), fields=('organization', 'email'), name='invitation_waiting_once'), models.CheckConstraint(condition=models.Q(('accepted_at', None), ('revoked_at', None), _connector='OR'), name='invitation_ends_once'), models.CheckConstraint(condition=models.Q(('accepted_at', None), ('membership__isnull', False), _connector='OR'), name='invitation_accepted_gives_a_place'), models.CheckConstraint(condition=models.Q(('email', django.db.models.functions.text.Lower('email'))), name='invitation_email_lower_case'), models.CheckConstraint(condition=models.Q(('role__in', ['owner', 'admin', 'reviewer', 'annotator'])), name='invitation_role_known')],
            },
        ),
        migrations.CreateModel(
            name='IdempotentRequest',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'membership_id', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(max_length=64)),
                ('status', models.PositiveSmallIntegerField()),
                ('body', models.BinaryField()),
                ('expires_at', models.DateTimeField()),
                ('membership', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'idempotent_request',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['expires_at'], name='idempotent_request_expiry')],
            },
        ),
        migrations.CreateModel(
            name='RecordVolume',
            fields=[
                ('organization', apps.core.fields.TenantKey(default=apps.core.tenancy.current, related_name='volume', serialize=False, to='organizations.organization')),
                ('records', models.BigIntegerField(default=0)),
                ('record_limit', models.BigIntegerField(blank=True, null=True)),
                ('former_limit', models.BigIntegerField(blank=True, null=True)),
                ('former_until', models.DateTimeField(blank=True, null=True)),
                ('closes_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'record_volume',
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('records__gte', 0), models.Q(('record_limit__isnull', True), ('record_limit__gte', 0), _connector='OR')), name='record_volume_not_negative'), models.CheckConstraint(condition=models.Q(('former_limit__isnull', True), ('former_until__isnull', False), _connector='OR'), name='record_volume_former_limit_ends')],
            },
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('slug__regex', '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')), name='organization_slug_is_a_host_label'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('plan__in', ['self_hosted', 'starter', 'base', 'medium', 'large'])), name='organization_plan_known'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.UniqueConstraint(condition=models.Q(('domain_verified_at__isnull', False)), fields=('domain',), name='organization_domain_unique'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('domain__isnull', True), ('domain__regex', '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$'), _connector='OR'), name='organization_domain_is_a_host'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('domain_verified_at__isnull', True), ('domain__isnull', False), _connector='OR'), name='organization_domain_verified_given'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('domain_missing_since', None), ('domain_verified_at__isnull', False), _connector='OR'), name='organization_domain_missing_was_proven'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('organization', 'username'), name='membership_username_unique'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('organization', 'user'), name='membership_user_unique'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.CheckConstraint(condition=models.Q(('username', ''), _negated=True), name='membership_username_given'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.CheckConstraint(condition=models.Q(('role__in', ['owner', 'admin', 'reviewer', 'annotator'])), name='membership_role_known'),
        ),
        migrations.AddIndex(
            model_name='apikey',
            index=models.Index(fields=['digest'], name='api_key_digest'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.UniqueConstraint(fields=('organization', 'digest'), name='api_key_digest_unique'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['read', 'annotate', 'write', 'manage'])), name='api_key_scopes_known'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('scopes', []), _negated=True), name='api_key_scopes_given'),
        ),
        migrations.CreateModel(
            name='SupportAccess',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('operator_id', models.UUIDField()),
                ('operator', models.CharField(max_length=254)),
                ('reason', models.CharField(max_length=500)),
                ('ends_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('membership', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'support_access',
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='support_access_reason_given'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('inserted_at'))), name='support_access_ends')],
            },
        ),
        migrations.CreateModel(
            name='Announcement',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('audience_id', models.UUIDField(blank=True, null=True)),
                ('level', models.CharField(choices=[('note', 'Note'), ('warn', 'Warning'), ('bad', 'Outage')], default='note', max_length=10)),
                ('text', models.CharField(max_length=500)),
                ('starts_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('ends_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'announcement',
                'constraints': [models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='announcement_text_given'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at'))), name='announcement_ends'), models.CheckConstraint(condition=models.Q(('level__in', ['note', 'warn', 'bad'])), name='announcement_level_known')],
                'indexes': [models.Index(fields=['ends_at'], name='announcement_end')],
            },
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('deletion_due_at', None), ('suspended_at__isnull', False), _connector='OR'), name='organization_deleted_is_suspended'),
        ),
        migrations.CreateModel(
            name='DeletionCertificate',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('subject_id', models.UUIDField()),
                ('slug', models.CharField(max_length=63)),
                ('deleted_at', models.DateTimeField(null=True)),
                ('text', models.TextField()),
                ('signature', models.CharField(max_length=80)),
            ],
            options={
                'db_table': 'deletion_certificate',
                'constraints': [models.UniqueConstraint(fields=('subject_id',), name='deletion_certificate_once')],
            },
        ),
        migrations.RunSQL("REVOKE ALL ON deletion_certificate FROM stoneware_app", migrations.RunSQL.noop),
        Isolate("Organization", tenant_column="id"),
        Isolate("RecordVolume", top=True),
        Isolate("Membership", top=True),
        Isolate("ApiKey"),
        Isolate("Invitation"),
        Isolate("IdempotentRequest"),
        Isolate("SupportAccess"),
        migrations.RunSQL(LOOKUPS, reverse_sql=DROP_LOOKUPS),
    ]
