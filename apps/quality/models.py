"""The few-shot suggester, and what reviewers and annotators say about answers."""

from typing import Final

from django.db import models
from django.db.models import Func, Q, Value
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.fields import TenantKey, TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset, Question
from apps.organizations.models import Membership
from apps.records.models import Record


class SuggesterSettings(TenantRow):
    """Whether a question's suggestions follow the answers while people label.

    A training starts when ``every`` more answers are submitted than ``answers``, the count at the
    last one. It renews the suggestions of up to ``limit`` records, those next in the queue.
    """

    question = TenantKey(Question, related_name="suggester")
    dataset = TenantLink(Dataset, related_name="+")
    enabled = models.BooleanField(default=True)
    every = models.PositiveIntegerField(default=20)
    limit = models.PositiveIntegerField(default=10_000)
    answers = models.PositiveIntegerField(default=0)

    objects = TenantManager["SuggesterSettings"]()

    class Meta:
        db_table = "suggester_settings"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(every__gte=1) & Q(limit__gte=1),
                name="suggester_settings_numbers_positive",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset"],
                condition=Q(enabled=True),
                name="suggester_settings_enabled",
            ),
        ]


class TrainedHead(TenantRow):
    """A question's newest head, trained by the job ``job_id``; it serves that job's items.

    ``classes`` are the k answer values it knows. ``coefficients`` are (k, d) and ``intercepts``
    (k,) little-endian float32. ``examples`` is the number of records it was trained on.
    """

    question = TenantKey(Question, related_name="trained_head")
    job_id = models.UUIDField()
    classes = models.JSONField()
    is_multi = models.BooleanField()
    coefficients = models.BinaryField()
    intercepts = models.BinaryField()
    examples = models.PositiveIntegerField()
    trained_at = models.DateTimeField()

    objects = TenantManager["TrainedHead"]()

    class Meta:
        db_table = "trained_head"
        base_manager_name = "objects"


class ReviewReason(models.TextChoices):
    """Why a record deserves a reviewer's look."""

    DISAGREEMENT = "disagreement", _("People disagree")
    UNCERTAIN = "uncertain", _("Hard to tell who is right")
    FLAGGED = "flagged", _("Flagged")
    MODEL = "model", _("Differs from the model")
    RANDOM = "random", _("Random check")
    EVALUATION = "evaluation", _("Differs in an evaluation")


class DatasetReview(TenantRow):
    """How a dataset's answers are reviewed, and when its queue was last brought up to date.

    ``random_percent`` of the completed records are checked whatever their answers;
    ``least_certain`` is the posterior below which a label is uncertain. ``answers`` were
    submitted at the last refresh, which says how long the next one may wait. ``agreement`` maps
    a question's id to Krippendorff's alpha.
    """

    dataset = TenantKey(Dataset, related_name="review")
    random_percent = models.FloatField(default=5)
    least_certain = models.FloatField(default=0.8)
    blind = models.BooleanField(default=False)
    refreshed_at = models.DateTimeField(null=True)
    answers = models.PositiveIntegerField(default=0)
    agreement = models.JSONField(default=dict)

    objects = TenantManager["DatasetReview"]()

    class Meta:
        db_table = "dataset_review"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(random_percent__gte=0, random_percent__lte=100),
                name="dataset_review_percent_known",
            ),
            models.CheckConstraint(
                condition=Q(least_certain__gte=0, least_certain__lte=1),
                name="dataset_review_posterior_known",
            ),
        ]


class ReviewItem(TenantRow):
    """A record that waits for a reviewer, in the hands of ``held_by`` until ``held_until``."""

    record = TenantKey(Record, related_name="review_item")
    dataset = TenantLink(Dataset, related_name="+")
    held_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    held_until = models.DateTimeField(null=True)

    objects = TenantManager["ReviewItem"]()

    class Meta:
        db_table = "review_item"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["organization", "dataset", "record"], name="review_item_queue"),
        ]


class ReviewCause(TenantModel):
    """One reason for which a record waits; of one question, or of the whole record.

    ``score`` is the agreement, or the posterior, that was found too low.
    """

    record = TenantLink(Record, related_name="+")
    dataset = TenantLink(Dataset, related_name="+")
    question = TenantLink(Question, null=True, related_name="+")
    reason = models.CharField(max_length=12, choices=ReviewReason)
    score = models.FloatField(null=True)

    objects = TenantManager["ReviewCause"]()

    class Meta:
        db_table = "review_cause"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "record", "reason", "question"],
                nulls_distinct=False,
                name="review_cause_unique",
            ),
            one_of("reason", ReviewReason, name="review_cause_reason_known"),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset", "reason", "question", "record"],
                name="review_cause_queue",
            ),
        ]


# What a person has decided on a record ``r``: the text of the answer to the question ``{name}``.
DECIDED: Final = """
SELECT a.values -> {name} -> 'value' #>> '{{}}' FROM adjudication a
WHERE a.organization_id = r.organization_id AND a.record_id = r.id
    AND NOT jsonb_exists(a.accepted, {name})
"""


class AdjudicationQuerySet(models.QuerySet["Adjudication"]):
    def by_people(self, question: str) -> "AdjudicationQuerySet":
        """Without those in which a model's answer was taken for the question of that name."""
        return self.exclude(accepted__has_key=question)

    def accepted_by(self, acceptance: "Acceptance") -> "AdjudicationQuerySet":
        """Those with an answer taken through it, whatever the question is called by now."""
        id = Value({"id": str(acceptance.id)}, models.JSONField())
        has_mine = Func(
            "accepted",
            id,
            template="jsonb_path_exists(%(expressions)s)",
            arg_joiner=", '$.* ? (@ == $id)'::jsonpath, ",
            output_field=models.BooleanField(),
        )
        return self.filter(has_mine, dataset=acceptance.dataset_id)


class Adjudication(TenantRow):
    """A reviewer's decision on a record: the answer that exports call the adjudicated one.

    ``values`` has the form of a response's. ``ambiguous`` names the questions that cannot be
    decided. ``accepted`` names, by question, the acceptance through which a model's answer was
    taken; the other answers are the reviewer's. ``reviewer`` is None when that person is gone, or
    when no person decided.
    """

    record = TenantKey(Record, related_name="adjudication")
    dataset = TenantLink(Dataset, related_name="+")
    reviewer = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    values = models.JSONField(default=dict)
    ambiguous = models.JSONField(default=list)
    note = models.TextField(blank=True)
    accepted = models.JSONField(default=dict)
    decided_at = models.DateTimeField()

    objects = TenantManager.from_queryset(AdjudicationQuerySet)()

    class Meta:
        db_table = "adjudication"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["organization", "dataset", "record"], name="adjudication_feed"),
        ]


class Acceptance(TenantModel):
    """A model's sure answers to a question, taken as decisions without a look.

    ``agent`` made the suggestions, ``threshold`` is the least confidence that was enough.
    ``basis`` says what justified it: ``{"target", "bound", "evaluation_id", …}``. ``count``
    decisions were made; ``undone_at`` is set once they are taken back.
    """

    dataset = TenantLink(Dataset, related_name="acceptances")
    question = TenantLink(Question, related_name="acceptances")
    agent = models.CharField(max_length=200)
    threshold = models.FloatField()
    basis = models.JSONField(default=dict)
    job_id = models.UUIDField(null=True)
    count = models.PositiveIntegerField(default=0)
    created_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    undone_at = models.DateTimeField(null=True)

    objects = TenantManager["Acceptance"]()

    class Meta:
        db_table = "acceptance"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold__gte=0) & Q(threshold__lte=1),
                name="acceptance_threshold_is_a_share",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset", "id"], name="acceptance_list"),
        ]


class FeedbackKind(models.TextChoices):
    CHANGED = "changed", _("Changed")
    CONFIRMED = "confirmed", _("Confirmed")
    RETURNED = "returned", _("Sent back")


class Feedback(TenantModel):
    """What a reviewer made of one person's answer: ``before`` is theirs, ``after`` the decision.

    Both have the form of a response's values; ``after`` is empty when it was sent back.
    """

    record = TenantLink(Record, related_name="+")
    dataset = TenantLink(Dataset, related_name="+")
    user = TenantLink(Membership, related_name="feedback")
    reviewer = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    kind = models.CharField(max_length=10, choices=FeedbackKind)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    ambiguous = models.JSONField(default=list)
    note = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True)

    objects = TenantManager["Feedback"]()

    class Meta:
        db_table = "feedback"
        base_manager_name = "objects"
        constraints = [one_of("kind", FeedbackKind, name="feedback_kind_known")]
        indexes = [
            models.Index(fields=["organization", "user", "id"], name="feedback_of_person"),
            models.Index(
                fields=["organization", "user"],
                condition=Q(seen_at__isnull=True),
                name="feedback_unseen",
            ),
            models.Index(fields=["organization", "record"], name="feedback_of_record"),
        ]


class Comment(TenantModel):
    """What somebody says about a record to the others."""

    record = TenantLink(Record, related_name="comments")
    author = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    text = models.TextField()

    objects = TenantManager["Comment"]()

    class Meta:
        db_table = "comment"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="comment_text_given"),
        ]
        indexes = [
            models.Index(fields=["organization", "record", "id"], name="comment_thread"),
        ]


class Mention(TenantRow):
    """Somebody named in a comment; unread until ``seen_at``."""

    pk = models.CompositePrimaryKey("organization_id", "comment_id", "member_id")
    comment = TenantLink(Comment, related_name="mentions")
    member = TenantLink(Membership, related_name="+")
    seen_at = models.DateTimeField(null=True)

    objects = TenantManager["Mention"]()

    class Meta:
        db_table = "mention"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["organization", "member", "comment"], name="mention_of_person"),
            models.Index(
                fields=["organization", "member"],
                condition=Q(seen_at__isnull=True),
                name="mention_unseen",
            ),
        ]


class Flag(TenantModel):
    """Somebody asks a reviewer to look at a record; one a person, until it is decided on."""

    record = TenantLink(Record, related_name="flags")
    member = TenantLink(Membership, related_name="+")
    note = models.TextField(blank=True)

    objects = TenantManager["Flag"]()

    class Meta:
        db_table = "flag"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "record", "member"], name="flag_unique_per_person"
            ),
        ]


class GuidelineGap(TenantModel):
    """What the guidelines do not say, found on a record; open until somebody resolves it."""

    dataset = TenantLink(Dataset, related_name="guideline_gaps")
    record = TenantLink(Record, null=True, database_delete="SET NULL", related_name="+")
    question = TenantLink(Question, null=True, database_delete="SET NULL", related_name="+")
    author = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    text = models.TextField()
    resolution = models.TextField(blank=True, default="")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager["GuidelineGap"]()

    class Meta:
        db_table = "guideline_gap"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="guideline_gap_text_given"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=False) | Q(resolution=""),
                name="guideline_gap_resolved_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset", "id"], name="guideline_gap_list"),
        ]
