import apps.billing.models
import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.utils.timezone
from apps.core.isolation import Isolate
from decimal import Decimal
from django.db import migrations, models


# The number of an invoice: the row stays locked until the invoice is committed, so that a number is
# neither given twice nor lost. The application cannot move the counter in any other way.
COUNTER = """
REVOKE ALL ON invoice_counter FROM stoneware_app;
CREATE FUNCTION take_invoice_number() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO invoice_counter AS c (id, last) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET last = c.last + 1 RETURNING last
$$;
ALTER FUNCTION take_invoice_number() OWNER TO stoneware_operator;
SET LOCAL ROLE stoneware_operator;
REVOKE ALL ON FUNCTION take_invoice_number() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_invoice_number() TO stoneware_app;
RESET ROLE;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('organizations', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='InvoiceCounter',
            fields=[
                ('id', models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ('last', models.BigIntegerField()),
            ],
            options={
                'db_table': 'invoice_counter',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='invoice_counter_is_one')],
            },
        ),
        migrations.CreateModel(
            name='PaymentEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'event_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.CharField(max_length=255)),
                ('received_at', models.DateTimeField()),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'payment_event',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('plan', models.CharField(choices=[('self_hosted', 'Self Hosted'), ('starter', 'Starter'), ('base', 'Base'), ('medium', 'Medium'), ('large', 'Large')], max_length=20)),
                ('period', models.CharField(choices=[('monthly', 'Monthly'), ('yearly', 'Yearly')], max_length=10)),
                ('state', models.CharField(choices=[('ended', 'Ended'), ('active', 'Active'), ('past_due', 'Payment overdue')], max_length=10)),
                ('anchored_on', models.DateField()),
                ('starts_on', models.DateField()),
                ('ends_on', models.DateField()),
                ('term_cents', models.BigIntegerField(default=0)),
                ('balance_cents', models.BigIntegerField(default=0)),
                ('customer', models.CharField(blank=True, max_length=255)),
                ('payment_method', models.CharField(blank=True, max_length=255)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'subscription',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('number', models.BigIntegerField(default=apps.billing.models.take_number)),
                ('state', models.CharField(choices=[('open', 'Open'), ('paid', 'Paid'), ('void', 'Void')], default='open', max_length=10)),
                ('recipient', models.CharField(max_length=200)),
                ('currency', models.CharField(default='EUR', max_length=3)),
                ('total_cents', models.BigIntegerField()),
                ('issued_on', models.DateField()),
                ('due_on', models.DateField()),
                ('failed_on', models.DateField(null=True)),
                ('settled_at', models.DateTimeField(null=True)),
                ('reference', models.CharField(blank=True, max_length=255)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('subscription', apps.core.fields.TenantLink(related_name='invoices', to='billing.subscription')),
            ],
            options={
                'db_table': 'invoice',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='UsageMonth',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'month', 'workspace_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('month', models.DateField()),
                ('workspace_id', models.UUIDField()),
                ('workspace_name', models.CharField(blank=True, max_length=200)),
                ('records', models.BigIntegerField(default=0)),
                ('answers', models.BigIntegerField(default=0)),
                ('model_usd', models.DecimalField(decimal_places=8, default=Decimal('0'), max_digits=14)),
                ('bytes', models.BigIntegerField(default=0)),
                ('seats', models.IntegerField(default=0)),
                ('api_calls', models.BigIntegerField(default=0)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'usage_month',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='InvoiceLine',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'invoice_id', 'position', blank=True, editable=False, primary_key=True, serialize=False)),
                ('position', models.PositiveSmallIntegerField()),
                ('kind', models.CharField(choices=[('term', 'Plan'), ('unused', 'Unused days'), ('balance', 'Balance from before'), ('kept', 'Kept for the next invoices')], max_length=10)),
                ('plan', models.CharField(choices=[('self_hosted', 'Self Hosted'), ('starter', 'Starter'), ('base', 'Base'), ('medium', 'Medium'), ('large', 'Large')], max_length=20)),
                ('period', models.CharField(choices=[('monthly', 'Monthly'), ('yearly', 'Yearly')], max_length=10)),
                ('starts_on', models.DateField()),
                ('ends_on', models.DateField()),
                ('cents', models.BigIntegerField()),
                ('invoice', apps.core.fields.TenantLink(related_name='lines', to='billing.invoice')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'invoice_line',
                'base_manager_name': 'objects',
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['term', 'unused', 'balance', 'kept'])), name='invoice_line_kind_known'), models.CheckConstraint(condition=models.Q(('plan__in', ['self_hosted', 'starter', 'base', 'medium', 'large'])), name='invoice_line_plan_known'), models.CheckConstraint(condition=models.Q(('period__in', ['monthly', 'yearly'])), name='invoice_line_period_known')],
            },
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('plan__in', ['self_hosted', 'starter', 'base', 'medium', 'large'])), name='subscription_plan_known'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('period__in', ['monthly', 'yearly'])), name='subscription_period_known'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['ended', 'active', 'past_due'])), name='subscription_state_known'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'ended'), _negated=True), fields=('organization',), name='subscription_one_in_force'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('ends_on__gte', models.F('starts_on')), ('starts_on__gte', models.F('anchored_on'))), name='subscription_days_in_order'),
        ),
        migrations.AddConstraint(
            model_name='subscription',
            constraint=models.CheckConstraint(condition=models.Q(('balance_cents__gte', 0), ('term_cents__gte', 0)), name='subscription_cents_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(fields=('organization', 'number'), name='invoice_number_unique'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['open', 'paid', 'void'])), name='invoice_state_known'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('total_cents__gte', 0)), name='invoice_total_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('due_on__gte', models.F('issued_on'))), name='invoice_due_after_issue'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('settled_at__isnull', True), ('state', 'open')), models.Q(models.Q(('state', 'open'), _negated=True), ('settled_at__isnull', False)), _connector='OR'), name='invoice_settled_with_its_time'),
        ),
        migrations.AddConstraint(
            model_name='usagemonth',
            constraint=models.CheckConstraint(condition=models.Q(('answers__gte', 0), ('model_usd__gte', 0), ('records__gte', 0), ('api_calls__gte', 0), ('bytes__gte', 0), ('seats__gte', 0)), name='usage_month_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='usagemonth',
            constraint=models.CheckConstraint(condition=models.Q(('month__day', 1)), name='usage_month_begins'),
        ),
        Isolate("Subscription", top=True),
        Isolate("Invoice"),
        Isolate("InvoiceLine"),
        Isolate("PaymentEvent", top=True),
        Isolate("UsageMonth", top=True),
        migrations.RunSQL(COUNTER, reverse_sql="DROP FUNCTION take_invoice_number()"),
    ]
