import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import apps.events.models
import django.utils.timezone
from apps.core.isolation import Isolate
from django.db import migrations, models


# Nobody changes an event or a seal. Away they go with their organization, whose cascade is itself a
# trigger (triggers before a deletion run inside it), and events by the retention that the
# organization chose: whole seals of them, oldest first, never younger than 30 days.
FINAL = """
REVOKE UPDATE, DELETE ON event, event_seal FROM stoneware_app, stoneware_operator;
CREATE FUNCTION event_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_op = 'DELETE' AND pg_trigger_depth() > 1 THEN
        RETURN OLD;
    END IF;
    IF tg_op = 'DELETE' AND tg_table_name = 'event'
            AND current_setting('app.event_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The event log is append-only.' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER event_is_final BEFORE UPDATE OR DELETE ON event
    FOR EACH ROW EXECUTE FUNCTION event_is_final();
CREATE TRIGGER event_seal_is_final BEFORE UPDATE OR DELETE ON event_seal
    FOR EACH ROW EXECUTE FUNCTION event_is_final();
CREATE FUNCTION prune_events() RETURNS TABLE (through bigint, removed bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    tenant uuid := current_setting('app.organization_id')::uuid;
    kept integer;
    last bigint;
BEGIN
    SELECT r.days INTO kept FROM event_retention r
    WHERE r.organization_id = tenant ORDER BY r.set_at DESC LIMIT 1;
    IF kept IS NULL THEN
        RETURN;
    END IF;
    SELECT s.number, s.up_to INTO through, last FROM (
        SELECT * FROM event_seal WHERE organization_id = tenant AND up_to >= (
            SELECT min(xact) FROM event WHERE organization_id = tenant)
        ORDER BY number LIMIT 20) s
    WHERE s.sealed_at < now() - make_interval(days => greatest(kept, 30))
    ORDER BY s.number DESC LIMIT 1;
    IF through IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('app.event_retention', 'on', true);
    DELETE FROM event WHERE organization_id = tenant AND xact <= last;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('app.event_retention', 'off', true);
    RETURN NEXT;
END $$;
REVOKE ALL ON FUNCTION prune_events() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prune_events() TO stoneware_app, stoneware_operator;
"""
DROP_FINAL = """
DROP FUNCTION prune_events();
DROP FUNCTION event_is_final() CASCADE;
"""


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
                ('key_id', models.UUIDField(blank=True, null=True)),
                ('support_id', models.UUIDField(blank=True, null=True)),
                ('address', models.CharField(blank=True, max_length=64, null=True)),
                ('request_id', models.CharField(blank=True, max_length=128, null=True)),
                ('xact', models.BigIntegerField(db_default=apps.events.models.TransactionNumber(), editable=False)),
                ('dataset_id', models.UUIDField(blank=True, null=True)),
                ('object_id', models.UUIDField(blank=True, null=True)),
                ('payload', models.JSONField(default=dict)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'event',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset_id', 'id'], name='event_dataset'), models.Index(fields=['organization', 'kind', 'id'], name='event_kind'), models.Index(fields=['organization', 'xact', 'id'], name='event_xact')],
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
        migrations.CreateModel(
            name='EventSeal',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField()),
                ('up_to', models.BigIntegerField()),
                ('count', models.PositiveIntegerField()),
                ('hash', models.CharField(max_length=64)),
                ('signature', models.CharField(max_length=80)),
                ('sealed_at', models.DateTimeField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'event_seal',
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('organization', 'up_to'), name='event_seal_up_to_once'), models.CheckConstraint(condition=models.Q(('count__gt', 0)), name='event_seal_covers_something')],
            },
        ),
        migrations.CreateModel(
            name='EventCheck',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'checked_at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('checked_at', models.DateTimeField()),
                ('events', models.BigIntegerField()),
                ('problem', models.CharField(blank=True, default='', max_length=300)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'event_check',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='EventRetention',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'set_at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('set_at', models.DateTimeField()),
                ('days', models.PositiveIntegerField(null=True)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'event_retention',
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('days__isnull', True), ('days__gte', 30), _connector='OR'), name='event_retention_a_month')],
            },
        ),
        Isolate("Event", top=True),
        Isolate("EventSeal", top=True),
        Isolate("EventCheck", top=True),
        Isolate("EventRetention", top=True),
        Isolate("EventSubscription", top=True),
        Isolate("WaitingEvent", top=True),
        migrations.RunSQL(FINAL, reverse_sql=DROP_FINAL),
    ]
