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
        ('organizations', '0001_initial'),
        ('records', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Comment',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('text', models.TextField()),
                ('author', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='comments', to='records.record')),
            ],
            options={
                'db_table': 'comment',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='DatasetReview',
            fields=[
                ('dataset', apps.core.fields.TenantKey(related_name='review', serialize=False, to='datasets.dataset')),
                ('random_percent', models.FloatField(default=5)),
                ('least_certain', models.FloatField(default=0.8)),
                ('blind', models.BooleanField(default=False)),
                ('refreshed_at', models.DateTimeField(null=True)),
                ('answers', models.PositiveIntegerField(default=0)),
                ('agreement', models.JSONField(default=dict)),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'dataset_review',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Feedback',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('kind', models.CharField(choices=[('changed', 'Changed'), ('confirmed', 'Confirmed'), ('returned', 'Sent back')], max_length=10)),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField(default=dict)),
                ('ambiguous', models.JSONField(default=list)),
                ('note', models.TextField(blank=True)),
                ('seen_at', models.DateTimeField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
                ('reviewer', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('user', apps.core.fields.TenantLink(related_name='feedback', to='organizations.membership')),
            ],
            options={
                'db_table': 'feedback',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Flag',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('note', models.TextField(blank=True)),
                ('member', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('record', apps.core.fields.TenantLink(related_name='flags', to='records.record')),
            ],
            options={
                'db_table': 'flag',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='GuidelineGap',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('text', models.TextField()),
                ('resolution', models.TextField(blank=True, default='')),
                ('resolved_at', models.DateTimeField(null=True)),
                ('author', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(related_name='guideline_gaps', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('question', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='datasets.question')),
                ('record', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='records.record')),
                ('resolved_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'guideline_gap',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Mention',
            fields=[
                ('pk', models.CompositePrimaryKey('organization_id', 'comment_id', 'member_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('seen_at', models.DateTimeField(null=True)),
                ('comment', apps.core.fields.TenantLink(related_name='mentions', to='quality.comment')),
                ('member', apps.core.fields.TenantLink(related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'mention',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ReviewItem',
            fields=[
                ('record', apps.core.fields.TenantKey(related_name='review_item', serialize=False, to='records.record')),
                ('held_until', models.DateTimeField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('held_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
            ],
            options={
                'db_table': 'review_item',
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='ReviewCause',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('reason', models.CharField(choices=[('disagreement', 'People disagree'), ('uncertain', 'Hard to tell who is right'), ('flagged', 'Flagged'), ('model', 'Differs from the model'), ('random', 'Random check'), ('evaluation', 'Differs in an evaluation')], max_length=12)),
                ('score', models.FloatField(null=True)),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('question', apps.core.fields.TenantLink(null=True, related_name='+', to='datasets.question')),
                ('record', apps.core.fields.TenantLink(related_name='+', to='records.record')),
            ],
            options={
                'db_table': 'review_cause',
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
            },
        ),
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
            name='Adjudication',
            fields=[
                ('record', apps.core.fields.TenantKey(related_name='adjudication', serialize=False, to='records.record')),
                ('values', models.JSONField(default=dict)),
                ('ambiguous', models.JSONField(default=list)),
                ('note', models.TextField(blank=True)),
                ('accepted', models.JSONField(default=dict)),
                ('decided_at', models.DateTimeField()),
                ('dataset', apps.core.fields.TenantLink(related_name='+', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('reviewer', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
            ],
            options={
                'db_table': 'adjudication',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset', 'record'], name='adjudication_feed')],
            },
        ),
        migrations.AddIndex(
            model_name='comment',
            index=models.Index(fields=['organization', 'record', 'id'], name='comment_thread'),
        ),
        migrations.AddConstraint(
            model_name='comment',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='comment_text_given'),
        ),
        migrations.AddConstraint(
            model_name='datasetreview',
            constraint=models.CheckConstraint(condition=models.Q(('random_percent__gte', 0), ('random_percent__lte', 100)), name='dataset_review_percent_known'),
        ),
        migrations.AddConstraint(
            model_name='datasetreview',
            constraint=models.CheckConstraint(condition=models.Q(('least_certain__gte', 0), ('least_certain__lte', 1)), name='dataset_review_posterior_known'),
        ),
        migrations.AddIndex(
            model_name='feedback',
            index=models.Index(fields=['organization', 'user', 'id'], name='feedback_of_person'),
        ),
        migrations.AddIndex(
            model_name='feedback',
            index=models.Index(condition=models.Q(('seen_at__isnull', True)), fields=['organization', 'user'], name='feedback_unseen'),
        ),
        migrations.AddIndex(
            model_name='feedback',
            index=models.Index(fields=['organization', 'record'], name='feedback_of_record'),
        ),
        migrations.AddConstraint(
            model_name='feedback',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['changed', 'confirmed', 'returned'])), name='feedback_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='flag',
            constraint=models.UniqueConstraint(fields=('organization', 'record', 'member'), name='flag_unique_per_person'),
        ),
        migrations.AddIndex(
            model_name='guidelinegap',
            index=models.Index(fields=['organization', 'dataset', 'id'], name='guideline_gap_list'),
        ),
        migrations.AddConstraint(
            model_name='guidelinegap',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='guideline_gap_text_given'),
        ),
        migrations.AddConstraint(
            model_name='guidelinegap',
            constraint=models.CheckConstraint(condition=models.Q(('resolved_at__isnull', False), ('resolution', ''), _connector='OR'), name='guideline_gap_resolved_has_time'),
        ),
        migrations.AddIndex(
            model_name='mention',
            index=models.Index(fields=['organization', 'member', 'comment'], name='mention_of_person'),
        ),
        migrations.AddIndex(
            model_name='mention',
            index=models.Index(condition=models.Q(('seen_at__isnull', True)), fields=['organization', 'member'], name='mention_unseen'),
        ),
        migrations.AddIndex(
            model_name='reviewitem',
            index=models.Index(fields=['organization', 'dataset', 'record'], name='review_item_queue'),
        ),
        migrations.AddIndex(
            model_name='reviewcause',
            index=models.Index(fields=['organization', 'dataset', 'reason', 'question', 'record'], name='review_cause_queue'),
        ),
        migrations.AddConstraint(
            model_name='reviewcause',
            constraint=models.UniqueConstraint(fields=('organization', 'record', 'reason', 'question'), name='review_cause_unique', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='reviewcause',
            constraint=models.CheckConstraint(condition=models.Q(('reason__in', ['disagreement', 'uncertain', 'flagged', 'model', 'random', 'evaluation'])), name='review_cause_reason_known'),
        ),
        migrations.AddIndex(
            model_name='suggestersettings',
            index=models.Index(condition=models.Q(('enabled', True)), fields=['organization', 'dataset'], name='suggester_settings_enabled'),
        ),
        migrations.AddConstraint(
            model_name='suggestersettings',
            constraint=models.CheckConstraint(condition=models.Q(('every__gte', 1), ('limit__gte', 1)), name='suggester_settings_numbers_positive'),
        ),
        migrations.CreateModel(
            name='Acceptance',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('inserted_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('agent', models.CharField(max_length=200)),
                ('threshold', models.FloatField()),
                ('basis', models.JSONField(default=dict)),
                ('job_id', models.UUIDField(null=True)),
                ('count', models.PositiveIntegerField(default=0)),
                ('undone_at', models.DateTimeField(null=True)),
                ('created_by', apps.core.fields.TenantLink(database_delete='SET NULL', null=True, related_name='+', to='organizations.membership')),
                ('dataset', apps.core.fields.TenantLink(related_name='acceptances', to='datasets.dataset')),
                ('organization', apps.core.fields.TenantLink(default=apps.core.tenancy.current, related_name='+', to='organizations.organization')),
                ('question', apps.core.fields.TenantLink(related_name='acceptances', to='datasets.question')),
            ],
            options={
                'db_table': 'acceptance',
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['organization', 'dataset', 'id'], name='acceptance_list')],
                'constraints': [models.CheckConstraint(condition=models.Q(('threshold__gte', 0), ('threshold__lte', 1)), name='acceptance_threshold_is_a_share')],
            },
        ),
        Isolate("SuggesterSettings"),
        Isolate("TrainedHead"),
        Isolate("DatasetReview"),
        Isolate("ReviewItem"),
        Isolate("ReviewCause"),
        Isolate("Adjudication"),
        Isolate("Acceptance"),
        Isolate("Feedback"),
        Isolate("Comment"),
        Isolate("Mention"),
        Isolate("Flag"),
        Isolate("GuidelineGap"),
    ]
