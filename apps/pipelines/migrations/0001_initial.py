import apps.core.fields
import apps.core.ids
import apps.core.tenancy
import django.utils.timezone
from decimal import Decimal
from apps.core.isolation import Isolate
from django.db import migrations, models


# A link that is set to null because its row is gone changes nothing of what was asked.
USED_STAYS = """
CREATE FUNCTION prompt_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a prompt version that has been used never changes'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'prompt_version_used_stays';
END $$;
CREATE TRIGGER prompt_version_used_stays BEFORE UPDATE ON prompt_version FOR EACH ROW
WHEN (OLD.used_at IS NOT NULL AND (
    (NEW.organization_id, NEW.id, NEW.dataset_id, NEW.question_id, NEW.recipe, NEW.number,
        NEW.template, NEW.guidelines, NEW.guidelines_version, NEW.asked, NEW.shots, NEW.strategy,
        NEW.provider_id, NEW.model, NEW.params, NEW.asking, NEW.used_at)
    IS DISTINCT FROM
    (OLD.organization_id, OLD.id, OLD.dataset_id, OLD.question_id, OLD.recipe, OLD.number,
        OLD.template, OLD.guidelines, OLD.guidelines_version, OLD.asked, OLD.shots, OLD.strategy,
        OLD.provider_id, OLD.model, OLD.params, OLD.asking, OLD.used_at)))
EXECUTE FUNCTION prompt_version_stays();
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0001_initial'),
        ('jobs', '0001_initial'),
        ('organizations', '0001_initial'),
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='DryRunItem',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'job_id', 'seq', blank=True, editable=False, primary_key=True, serialize=False)),
                ('seq', models.PositiveIntegerField()),
                ('record_id', models.UUIDField(null=True)),
                ('calls', models.JSONField(default=list)),
                ('shown', models.JSONField(null=True)),
                ('gold', models.JSONField(null=True)),
                ('prompt_tokens', models.PositiveIntegerField(default=0)),
                ('completion_tokens', models.PositiveIntegerField(default=0)),
                ('usd', models.DecimalField(decimal_places=8, default=Decimal('0'), max_digits=14)),
                ('from_cache', models.BooleanField(default=False)),
                ('error', models.TextField(blank=True)),
                ('job', apps.core.fields.TenantLink(related_name='dry_run_items', to='jobs.job')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'dry_run_item',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='PromptVersion',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('recipe', models.CharField(default='suggest', max_length=60)),
                ('number', models.PositiveIntegerField()),
                ('template', models.TextField(blank=True)),
                ('guidelines', models.TextField(blank=True)),
                ('guidelines_version', models.PositiveIntegerField(default=0)),
                ('asked', models.JSONField(default=dict)),
                ('shots', models.PositiveSmallIntegerField(default=0)),
                ('strategy', models.CharField(default='nearest', max_length=20)),
                ('provider_id', models.UUIDField(null=True)),
                ('model', models.CharField(blank=True, max_length=200)),
                ('params', models.JSONField(default=dict)),
                ('asking', models.JSONField(default=dict)),
                ('note', models.TextField(blank=True)),
                ('used_at', models.DateTimeField(null=True)),
                ('author', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(related_name='prompt_versions', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('parent', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='pipelines.promptversion')),
                ('question', apps.core.fields.TenantLink(null=True, related_name='prompt_versions', to='datasets.question')),
            ],
            options={
                'db_table': 'prompt_version',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SuggestionVersion',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('agent', models.CharField(blank=True, max_length=200)),
                ('type', models.CharField(max_length=10, null=True)),
                ('value', models.JSONField()),
                ('score', models.JSONField(null=True)),
                ('job_id', models.UUIDField(null=True)),
                ('guidelines_version', models.PositiveIntegerField(null=True)),
                ('details', models.JSONField(default=dict)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('prompt_version', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='pipelines.promptversion')),
                ('question', apps.core.fields.TenantLink(related_name='+', to='datasets.question')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
            ],
            options={
                'db_table': 'suggestion_version',
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='promptversion',
            constraint=models.UniqueConstraint(fields=('organization', 'dataset', 'question', 'number'), name='prompt_version_number_unique', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='promptversion',
            constraint=models.CheckConstraint(condition=models.Q(('shots__lte', 50)), name='prompt_version_shots_few'),
        ),
        migrations.AddIndex(
            model_name='suggestionversion',
            index=models.Index(fields=['organization', 'dataset', 'prompt_version', 'agent'], name='suggestion_version_prompt'),
        ),
        migrations.AddConstraint(
            model_name='suggestionversion',
            constraint=models.UniqueConstraint(fields=('organization', 'record', 'question', 'agent'), name='suggestion_version_unique_per_agent'),
        ),
        Isolate("PromptVersion"),
        Isolate("SuggestionVersion"),
        Isolate("DryRunItem"),
        migrations.RunSQL(USED_STAYS, migrations.RunSQL.noop),
    ]
