"""Responses, leases and each annotator's place in a dataset."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset
from apps.organizations.models import Membership, Role
from apps.records.models import Record
from apps.workspaces.models import Workspace


class ResponseStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    SUBMITTED = "submitted", _("Submitted")
    DISCARDED = "discarded", _("Discarded")


class ResponseQuerySet(models.QuerySet["Response"]):
    def visible_to(self, member: Membership) -> "ResponseQuerySet":
        """One's own, and everybody's in the workspaces where one is more than an annotator."""
        visible = self.filter(record__in=Record.objects.visible_to(member))
        if member.role == Role.OWNER:
            return visible
        reviewed = Workspace.objects.reviewed_by(member)
        return visible.filter(Q(user=member) | Q(dataset__workspace__in=reviewed))

    def submitted(self) -> "ResponseQuerySet":
        return self.filter(status=ResponseStatus.SUBMITTED)


class Response(TenantModel):
    """One member's answers to one record: ``{question name: {"value": …}}``.

    ``request_key`` is the idempotency key of the last write: the same key again changes nothing.
    """

    record = TenantLink(Record, related_name="responses")
    user = TenantLink(Membership, database_delete="NO ACTION", related_name="responses")
    dataset = TenantLink(Dataset, related_name="+")
    values = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=ResponseStatus)
    request_key = models.UUIDField(null=True, blank=True)
    updated_at = models.DateTimeField()

    objects = TenantManager.from_queryset(ResponseQuerySet)()

    class Meta:
        db_table = "response"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "record", "user"], name="response_unique_per_annotator"
            ),
            one_of("status", ResponseStatus, name="response_status_known"),
            models.CheckConstraint(
                condition=~Q(status="submitted") | ~Q(values={}),
                name="response_submitted_has_values",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset", "user", "status", "record"],
                name="response_annotator",
            ),
            models.Index(
                fields=["organization", "dataset", "user", "updated_at"], name="response_latest"
            ),
        ]


class ResponseVersion(TenantModel):
    """What an answer was before an act replaced or deleted it: what ``undo`` goes back to.

    ``replaced_by`` is the key of that act (a page's request key, a job's id, None for an API call
    without one), ``replaced_at`` its time. Once the act is undone the row keeps what the act had
    made, for ``redo``, and ``undone_at`` is set. ``status`` None means that there was no answer; a
    new answer has no row at all. The times are those of the answer.
    """

    record = TenantLink(Record, related_name="+")
    user = TenantLink(Membership, related_name="+")
    dataset = TenantLink(Dataset, related_name="+")
    status = models.CharField(max_length=10, choices=ResponseStatus, null=True)
    values = models.JSONField(default=dict)
    request_key = models.UUIDField(null=True)
    inserted_at = models.DateTimeField(null=True)  # type: ignore[assignment]
    updated_at = models.DateTimeField(null=True)  # type: ignore[assignment]
    replaced_by = models.UUIDField(null=True)
    replaced_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        db_table = "response_version"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "record", "user", "replaced_by"],
                name="response_version_unique_per_act",
            ),
            one_of("status", ResponseStatus, name="response_version_status_known"),
            models.CheckConstraint(
                condition=Q(
                    status__isnull=True,
                    values={},
                    request_key__isnull=True,
                    inserted_at__isnull=True,
                    updated_at__isnull=True,
                )
                | Q(status__isnull=False, inserted_at__isnull=False, updated_at__isnull=False),
                name="response_version_all_or_nothing",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset", "user", "replaced_at"],
                name="response_version_history",
            ),
            models.Index(fields=["replaced_at"], name="response_version_age"),
        ]


class Lease(TenantRow):
    """A record in somebody's hands until ``expires_at``."""

    pk = models.CompositePrimaryKey("organization_id", "record_id", "user_id")
    record = TenantLink(Record, related_name="+")
    user = TenantLink(Membership, related_name="+")
    dataset = TenantLink(Dataset, related_name="+")
    expires_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        db_table = "lease"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["expires_at"], name="lease_expiry"),
            models.Index(fields=["organization", "dataset", "user", "record"], name="lease_holder"),
        ]


class Annotator(TenantRow):
    """A member's place in a dataset: queue cursor, today's count, first answer.

    ``cursor_id`` is the last record handed out; ``exhausted_at`` is the dataset's ``reopened_at``
    behind which the queue was found empty; ``day`` and ``submitted_today`` count against the daily
    quota. ``daily_quota`` and ``total_quota`` override the dataset's for this person. The row stays
    when their answers are deleted.
    """

    pk = models.CompositePrimaryKey("organization_id", "dataset_id", "user_id")
    dataset = TenantLink(Dataset, related_name="annotators")
    user = TenantLink(Membership, related_name="+")
    cursor_id = models.UUIDField(null=True)
    exhausted_at = models.DateTimeField(null=True)
    first_response_at = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    submitted_today = models.PositiveIntegerField(default=0)
    daily_quota = models.PositiveIntegerField(null=True)
    total_quota = models.PositiveIntegerField(null=True)

    objects = TenantManager()

    class Meta:
        db_table = "annotator"
        base_manager_name = "objects"


class ChangeState(models.TextChoices):
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")


class AnswerPart(models.TextChoices):
    """What an edit of the questions rewrote."""

    RESPONSE = "response", _("Answer")
    SUGGESTION = "suggestion", _("Suggestion")
    ADJUDICATION = "adjudication", _("Decision")


class SchemaChangeQuerySet(models.QuerySet["SchemaChange"]):
    def visible_to(self, member: Membership) -> "SchemaChangeQuerySet":
        return self.filter(dataset__in=Dataset.objects.visible_to(member))

    def of(self, dataset: Dataset) -> "SchemaChangeQuerySet":
        return self.filter(dataset=dataset)


class SchemaChange(TenantModel):
    """An edit of a dataset's questions, with what is needed to take it back.

    ``edit`` is the document of ``datasets.edits``; ``before`` and ``after`` are the questions that
    it changed, by id. ``counts`` says how many answers were rewritten, by part, and ``requeued``
    how many went back to those who gave them. ``undoes`` is the id of the change that this one
    took back.
    """

    dataset = TenantLink(Dataset, related_name="schema_changes")
    edit = models.JSONField()
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=ChangeState, default=ChangeState.RUNNING)
    job_id = models.UUIDField(null=True)
    undoes = models.UUIDField(null=True)
    undone_at = models.DateTimeField(null=True)
    created_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager.from_queryset(SchemaChangeQuerySet)()

    class Meta:
        db_table = "schema_change"
        base_manager_name = "objects"
        constraints = [one_of("state", ChangeState, name="schema_change_state_known")]
        indexes = [
            models.Index(fields=["organization", "dataset", "id"], name="schema_change_list"),
        ]


class RewrittenAnswer(TenantModel):
    """What one answer, suggestion or decision was before a change, and what it became.

    ``before`` and ``after`` hold the questions that differ: ``{question name: {"value": …}}``; of a
    suggestion with its score, agent and type. They are never changed: whatever was ever submitted
    can be read here. ``user`` is whose answer it is.
    """

    updated_at = None  # type: ignore[assignment]
    change = TenantLink(SchemaChange, related_name="rewritten")
    record = TenantLink(Record, related_name="+")
    user = TenantLink(Membership, null=True, related_name="+")
    part = models.CharField(max_length=12, choices=AnswerPart)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    status_before = models.CharField(max_length=10, blank=True, default="")
    status_after = models.CharField(max_length=10, blank=True, default="")

    objects = TenantManager()

    class Meta:
        db_table = "rewritten_answer"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "change", "record", "part", "user"],
                nulls_distinct=False,
                name="rewritten_answer_once_a_change",
            ),
            one_of("part", AnswerPart, name="rewritten_answer_part_known"),
        ]
