"""What a model predicts out there, which of it people are asked about, and its daily counts."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.fields import TenantKey, TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset, Question
from apps.records.models import Record


class Routed(models.TextChoices):
    """Why people are asked about a prediction."""

    NO = "no", _("Not routed")
    RANDOM = "random", _("Random share")
    SCORE = "score", _("Low score")
    HEAD = "head", _("Differs from the few-shot head")


class Monitor(TenantRow):
    """How a question's live predictions are watched, and which of them go to people.

    Routed are ``random_percent`` of them by chance, those whose score lies below ``threshold``,
    and with ``against_head`` those that the few-shot head contradicts; at most ``daily_limit`` a
    day. Predictions are kept for ``keep_days``, their daily counts for ever. ``retrain_every``
    answers after ``answers``, the count at the last notice, it is time to retrain.
    """

    question = TenantKey(Question, related_name="monitor")
    dataset = TenantLink(Dataset, related_name="monitors")
    threshold = models.FloatField(null=True)
    random_percent = models.FloatField(default=0)
    against_head = models.BooleanField(default=False)
    daily_limit = models.PositiveIntegerField(default=500)
    keep_days = models.PositiveSmallIntegerField(default=90)
    retrain_every = models.PositiveIntegerField(null=True)
    answers = models.PositiveIntegerField(default=0)
    noticed_at = models.DateTimeField(null=True)

    objects = TenantManager["Monitor"]()

    class Meta:
        db_table = "monitor"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold__isnull=True) | Q(threshold__gte=0, threshold__lte=1),
                name="monitor_threshold_is_a_share",
            ),
            models.CheckConstraint(
                condition=Q(random_percent__gte=0, random_percent__lte=100),
                name="monitor_percent_known",
            ),
            models.CheckConstraint(condition=Q(keep_days__gte=1), name="monitor_keeps_a_day"),
            models.CheckConstraint(
                condition=Q(retrain_every__isnull=True) | Q(retrain_every__gte=1),
                name="monitor_retrains_after_some",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset"], name="monitor_list"),
        ]


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def routed(self) -> "PredictionQuerySet":
        """Those that people are asked about."""
        return self.exclude(routed=Routed.NO)

    def newest_first(self) -> "PredictionQuerySet":
        return self.order_by("-predicted_at", "-id")


class Prediction(TenantModel):
    """What the model said of something, once a monitor and ``external_id``.

    ``fields`` and ``value`` have the form of a record's and an answer's. ``record`` is where
    people are asked about it, None when they are not or it is gone.
    """

    updated_at = None  # type: ignore[assignment]  # a prediction never changes
    monitor = TenantLink(Monitor, related_name="predictions")
    dataset = TenantLink(Dataset, related_name="+")
    external_id = models.CharField(max_length=400, db_collation="C")
    fields = models.JSONField()
    value = models.JSONField()
    score = models.FloatField(null=True)
    model = models.CharField(max_length=200, blank=True)
    predicted_at = models.DateTimeField()
    routed = models.CharField(max_length=6, choices=Routed, default=Routed.NO)
    record = TenantLink(Record, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager.from_queryset(PredictionQuerySet)()

    class Meta:
        db_table = "prediction"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "monitor", "external_id"],
                name="prediction_external_id_unique",
            ),
            one_of("routed", Routed, name="prediction_routed_known"),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | Q(score__gte=0, score__lte=1),
                name="prediction_score_is_a_share",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "monitor", "predicted_at", "id"], name="prediction_feed"
            ),
            models.Index(
                fields=["organization", "monitor", "predicted_at"],
                condition=~Q(routed="no"),
                name="prediction_routed",
            ),
            models.Index(
                fields=["organization", "record"],
                condition=Q(record__isnull=False),
                name="prediction_of_record",
            ),
        ]


class PredictionCount(TenantRow):
    """How many predictions of a day had a label and a score in one of ten bins.

    ``label`` is empty where answers are no labels, ``bin`` is -1 without a score and -2 in the
    row of a day (with an empty label) that counts the predictions themselves: one with two
    labels counts for both.
    """

    pk = models.CompositePrimaryKey("organization_id", "monitor_id", "day", "model", "label", "bin")
    monitor = TenantLink(Monitor, related_name="counts")
    day = models.DateField()
    model = models.CharField(max_length=200, db_collation="C")
    label = models.CharField(max_length=200, db_collation="C")
    bin = models.SmallIntegerField()
    n = models.PositiveIntegerField()

    objects = TenantManager["PredictionCount"]()

    class Meta:
        db_table = "prediction_count"
        base_manager_name = "objects"
