"""What the prompt studio shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from apps.console.cards import Preview
from apps.console.studio_form import StudioForm, models_of
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.evaluation.models import Evaluation
from apps.organizations.models import Membership
from apps.pipelines.estimates import Estimate
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import estimate_order
from apps.pipelines.previews import Preview as PromptPreview
from apps.pipelines.prompts import names_of
from apps.pipelines.reprompt import Affected, affected_prompts
from apps.pipelines.versions import staleness
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

MOST: Final = 50  # versions in the list


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with what has changed since, and what it was last measured to be worth."""

    version: PromptVersion
    stale: Sequence[str]
    evaluation: Evaluation | None

    @property
    def worth(self) -> dict[str, Any] | None:
        """The primary measure on the development split."""
        report = self.evaluation.reports.get("dev") if self.evaluation else None
        return report["metrics"].get(report["primary"]) if report else None


class Studio:
    """A question's prompt with its form; what it does, as far as it was asked for."""

    def __init__(
        self,
        member: Membership,
        dataset: Dataset,
        schema: DatasetSchema,
        rule: QuestionRule,
        version: PromptVersion | None = None,
    ) -> None:
        self.member, self.dataset, self.schema, self.rule = member, dataset, schema, rule
        self.version = version
        self.form: StudioForm = StudioForm(rule=rule, models=self.models)
        self.preview: Preview | None = None
        self.prompts: list[PromptPreview] = []
        self.refused = ""

    @cached_property
    def models(self) -> list[tuple[str, str]]:
        return models_of(self.member)

    @property
    def may_ask(self) -> bool:
        """Whether the member may spend money on models here."""
        return permissions.may(self.member, Action.USE_PROVIDERS, self.dataset.workspace_id)

    @property
    def may_edit_guideline(self) -> bool:
        return permissions.may(self.member, Action.MANAGE_DATASET, self.dataset.workspace_id)

    @cached_property
    def is_valid(self) -> bool:
        return bool(self.form.is_valid())

    @property
    def has_other_guideline(self) -> bool:
        """Whether the form's guideline is not the dataset's."""
        return bool(self.form.cleaned_data["guidelines"] != (self.dataset.guidelines or ""))

    @property
    def names(self) -> list[str]:
        """What a template may name."""
        return list(names_of(self.schema))

    @property
    def questions(self) -> list[QuestionRule]:
        return list(self.schema.questions.values())

    # --- Versions ---------------------------------------------------------------------------------
    @cached_property
    def versions(self) -> list[VersionRow]:
        """The newest first. Two queries."""
        found = PromptVersion.objects.of(self.dataset.id, self.rule.id).newest_first()
        rows = list(found.select_related("author")[:MOST])
        measured = Evaluation.objects.filter(prompt_version__in=rows).current()
        last = {one.prompt_version_id: one for one in measured.order_by("id")}
        return [
            VersionRow(row, staleness(row, self.dataset, self.rule.question), last.get(row.id))
            for row in rows
        ]

    @cached_property
    def out_of_date(self) -> list[Affected]:
        """Prompts whose suggestions stand beside records though they hold no more."""
        return [one for one in affected_prompts(self.dataset) if one.stale]

    # --- The price --------------------------------------------------------------------------------
    @cached_property
    def estimate(self) -> Estimate | None:
        """What the run would take; None where no model is chosen or the form has a mistake."""
        if not self.may_ask or not self.is_valid or self.form.provider[0] is None:
            return None
        order = self.form.run()
        try:
            return estimate_order(dataset=self.dataset, order=order, member=self.member)
        except InvalidError as error:
            self.refused = self.refused or error.message
            return None
