"""Providers, their models, and what those cost."""

from datetime import datetime
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.fields import LineField, TenantLink
from apps.core.models import TenantManager, TenantModel
from apps.core.sealing import BrokenSealError, unseal
from apps.llms.batches import Batch, BatchCall, BatchState
from apps.llms.spending import (
    Budget,
    BudgetScope,
    EntryKind,
    LedgerEntry,
    LLMAttempt,
    LLMResponse,
)
from apps.organizations.models import Membership
from apps.workspaces.permissions import Action, may_somewhere

__all__ = [
    "AnswerForm",
    "Batch",
    "BatchCall",
    "BatchState",
    "Budget",
    "BudgetScope",
    "EntryKind",
    "LLMAttempt",
    "LLMResponse",
    "LedgerEntry",
    "ModelKind",
    "ModelPrice",
    "Provider",
    "ProviderModel",
    "Quirk",
]


USUAL_BATCH_DISCOUNT = 50  # percent that nearly all providers take off for batches


class ModelKind(models.TextChoices):
    CHAT = "chat", _("Chat")
    EMBEDDING = "embedding", _("Embedding")


class AnswerForm(models.TextChoices):
    """How a model is asked for JSON, the surest first."""

    JSON_SCHEMA = "json_schema", _("JSON schema")
    JSON_OBJECT_SCHEMA = "json_object_schema", _("JSON object with a schema")
    JSON_OBJECT = "json_object", _("JSON object")
    TEXT = "text", _("Text")


class Quirk(models.TextChoices):
    """Parameters that a model refuses, or knows by another name."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    NO_TEMPERATURE = "no_temperature"
    NO_TOP_P = "no_top_p"
    NO_SEED = "no_seed"


class ProviderQuerySet(models.QuerySet["Provider"]):
    def visible_to(self, member: Membership) -> "ProviderQuerySet":
        """All of them to those who may use them, else none."""
        return self.all() if may_somewhere(member, Action.USE_PROVIDERS) else self.none()

    def enabled(self) -> "ProviderQuerySet":
        return self.filter(enabled=True)

    def in_order(self) -> "ProviderQuerySet":
        return self.order_by("name")


class Provider(TenantModel):
    """A server that speaks the OpenAI protocol, and the key for it.

    ``key_hint`` shows enough of the key to recognise it. ``rpm`` (calls a minute), ``tpm`` (tokens
    a minute) and ``concurrency`` (calls at once) hold for each model that sets none itself; None
    is no limit. ``timeout`` is in seconds, for a whole call.
    """

    name = LineField(max_length=100)
    base_url = models.CharField(max_length=2000)
    sealed_key = models.BinaryField(null=True)
    key_hint = models.CharField(max_length=20, default="", blank=True)
    enabled = models.BooleanField(default=True)
    default_model = models.CharField(max_length=200, null=True)
    rpm = models.PositiveIntegerField(null=True)
    tpm = models.PositiveIntegerField(null=True)
    concurrency = models.PositiveIntegerField(default=8)
    timeout = models.PositiveIntegerField(default=120)

    objects = TenantManager.from_queryset(ProviderQuerySet)()

    class Meta:
        db_table = "llm_provider"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="llm_provider_name_unique"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="llm_provider_name_given"),
            models.CheckConstraint(
                condition=Q(sealed_key__isnull=False) | Q(key_hint=""),
                name="llm_provider_hint_of_a_key",
            ),
            models.CheckConstraint(
                condition=Q(concurrency__gte=1)
                & (Q(rpm__isnull=True) | Q(rpm__gte=1))
                & (Q(tpm__isnull=True) | Q(tpm__gte=1))
                & Q(timeout__gte=1),
                name="llm_provider_limits_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def key_context(self) -> str:
        """What the key is sealed for: it is worth nothing in another organization or row."""
        return f"llm_provider {self.organization_id} {self.id}"

    @property
    def api_key(self) -> str:
        """The key; empty when there is none.

        Raises ``BrokenSealError`` when the secret that sealed it is gone.
        """
        if self.sealed_key is None:
            return ""
        return unseal(bytes(self.sealed_key), context=self.key_context)

    @property
    def has_readable_key(self) -> bool:
        try:
            return bool(self.api_key)
        except BrokenSealError:
            return False


class ProviderModelQuerySet(models.QuerySet["ProviderModel"]):
    def visible_to(self, member: Membership) -> "ProviderModelQuerySet":
        return self.filter(provider__in=Provider.objects.visible_to(member))

    def in_order(self) -> "ProviderModelQuerySet":
        return self.order_by("name")


class ProviderModel(TenantModel):
    """A model of a provider, with what was learned of it.

    ``answer_form`` is None until a call has found out. ``seen_characters`` and ``seen_tokens`` are
    sums over past prompts, older ones fading: their ratio estimates prompts to come.
    """

    provider = TenantLink(Provider, related_name="models")
    name = LineField(max_length=200)
    kind = models.CharField(max_length=10, choices=ModelKind, default=ModelKind.CHAT)
    rpm = models.PositiveIntegerField(null=True)
    tpm = models.PositiveIntegerField(null=True)
    concurrency = models.PositiveIntegerField(null=True)
    answer_form = models.CharField(max_length=20, choices=AnswerForm, null=True)
    quirks = ArrayField(models.CharField(max_length=30), default=list)
    seen_characters = models.FloatField(default=0)
    seen_tokens = models.FloatField(default=0)

    objects = TenantManager.from_queryset(ProviderModelQuerySet)()

    class Meta:
        db_table = "llm_model"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "name"], name="llm_model_name_unique"
            ),
            one_of("kind", ModelKind, name="llm_model_kind_known"),
            models.CheckConstraint(
                condition=Q(answer_form__isnull=True) | Q(answer_form__in=AnswerForm.values),
                name="llm_model_answer_form_known",
            ),
            models.CheckConstraint(
                condition=Q(quirks__contained_by=Quirk.values), name="llm_model_quirks_known"
            ),
            models.CheckConstraint(
                condition=Q(seen_characters__gte=0) & Q(seen_tokens__gte=0),
                name="llm_model_sums_not_negative",
            ),
            models.CheckConstraint(
                condition=(Q(concurrency__isnull=True) | Q(concurrency__gte=1))
                & (Q(rpm__isnull=True) | Q(rpm__gte=1))
                & (Q(tpm__isnull=True) | Q(tpm__gte=1)),
                name="llm_model_limits_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ModelPriceQuerySet(models.QuerySet["ModelPrice"]):
    def visible_to(self, member: Membership) -> "ModelPriceQuerySet":
        return self.filter(model__in=ProviderModel.objects.visible_to(member))

    def at(self, moment: datetime) -> "ModelPriceQuerySet":
        """The price of each model that holds at the moment; none for models without one."""
        started = self.filter(valid_from__lte=moment)
        return started.order_by("model_id", "-valid_from").distinct("model_id")


class ModelPrice(TenantModel):
    """What a model costs from ``valid_from`` on, in USD a million tokens.

    ``cached_input`` is for the part of a prompt that the provider says it had cached; None: as
    ``input``. ``batch_discount`` is in percent, off all of them for calls handed in as a batch.
    """

    model = TenantLink(ProviderModel, related_name="prices")
    valid_from = models.DateTimeField(default=timezone.now)
    input = models.DecimalField(max_digits=14, decimal_places=6, default=Decimal(0))
    output = models.DecimalField(max_digits=14, decimal_places=6, default=Decimal(0))
    cached_input = models.DecimalField(max_digits=14, decimal_places=6, null=True)
    batch_discount = models.PositiveSmallIntegerField(default=USUAL_BATCH_DISCOUNT)

    objects = TenantManager.from_queryset(ModelPriceQuerySet)()

    class Meta:
        db_table = "llm_model_price"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "model", "valid_from"], name="llm_model_price_one_a_moment"
            ),
            models.CheckConstraint(
                condition=Q(input__gte=0)
                & Q(output__gte=0)
                & (
                    Q(cached_input__isnull=True)
                    | Q(cached_input__gte=0, cached_input__lte=F("input"))
                ),
                name="llm_model_price_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(batch_discount__lte=100), name="llm_model_price_discount_percent"
            ),
        ]
