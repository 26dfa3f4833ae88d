"""The few-shot suggester's settings and what it has learned."""

from django.db import models
from django.db.models import Q

from apps.core.fields import TenantKey, TenantLink
from apps.core.models import TenantManager, TenantRow
from apps.datasets.models import Dataset, Question


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
