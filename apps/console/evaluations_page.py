"""What the page of evaluations shows: gold sets, versions by measures, and the price of another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from apps.console.measures import Column, columns_of, name_of
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.evaluation.models import Evaluation, GoldSet
from apps.evaluation.recipe import MEASURED
from apps.evaluation.services import evaluation_order
from apps.organizations.models import Membership
from apps.pipelines.estimates import Estimate
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import estimate_order
from apps.quality.models import Acceptance
from apps.records.models import Suggestion
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

MOST: Final = 50  # evaluations, and gold sets, in a list


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """``report`` is the development split's; None while the job is at work."""

    evaluation: Evaluation
    name: str
    report: Mapping[str, Any] | None
    figures: Sequence[Mapping[str, Any] | None]


class Evaluations:
    """The gold sets of a question, and what was measured against one of them."""

    def __init__(
        self,
        member: Membership,
        dataset: Dataset,
        schema: DatasetSchema,
        rule: QuestionRule,
        gold: GoldSet | None = None,
    ) -> None:
        self.member, self.dataset, self.schema, self.rule = member, dataset, schema, rule
        self.gold = gold or (self.gold_sets[0] if self.gold_sets else None)
        self.refused = ""
        self.chosen: PromptVersion | None = None
        self.with_test = False
        self.estimate: Estimate | None = None

    @property
    def questions(self) -> list[QuestionRule]:
        return list(self.schema.questions.values())

    @property
    def may_ask(self) -> bool:
        return permissions.may(self.member, Action.USE_PROVIDERS, self.dataset.workspace_id)

    @cached_property
    def gold_sets(self) -> list[GoldSet]:
        rows = GoldSet.objects.filter(question=self.rule.id).newest_first()
        return list(rows.select_related("question", "dataset__workspace")[:MOST])

    # --- What was measured ------------------------------------------------------------------------
    @cached_property
    def evaluations(self) -> list[Evaluation]:
        if self.gold is None:
            return []
        rows = Evaluation.objects.filter(gold_set=self.gold).newest_first()
        return list(rows.select_related("prompt_version", "job")[:MOST])

    @property
    def is_running(self) -> bool:
        return any(one.measured_at is None for one in self.evaluations)

    @property
    def measured(self) -> list[EvaluationRow]:
        """Those that can be compared."""
        return [row for row in self.rows if row.report is not None]

    @cached_property
    def columns(self) -> list[Column]:
        reports = [one.reports["dev"] for one in self.evaluations if "dev" in one.reports]
        return columns_of(reports)

    @cached_property
    def rows(self) -> list[EvaluationRow]:
        return [self._row(one) for one in self.evaluations]

    def _row(self, one: Evaluation) -> EvaluationRow:
        report = one.reports.get("dev")
        metrics = report["metrics"] if report else {}
        figures = [metrics.get(column.name) for column in self.columns]
        return EvaluationRow(one, name_of(one), report, figures)

    @property
    def ceiling(self) -> Mapping[str, Any] | None:
        """How well people agree with each other; None where no record has two answers."""
        for row in self.measured:
            if row.report and row.report["ceiling"]["agreement"]:
                found: Mapping[str, Any] = row.report["ceiling"]
                return found
        return None

    # --- What can be measured ---------------------------------------------------------------------
    @cached_property
    def versions(self) -> list[PromptVersion]:
        rows = PromptVersion.objects.of(self.dataset.id, self.rule.id).filter(recipe__in=MEASURED)
        return list(rows.newest_first()[:MOST])

    @cached_property
    def agents(self) -> list[str]:
        """Those whose suggestions stand beside records."""
        rows = Suggestion.objects.filter(question=self.rule.id).exclude(agent=None)
        found = rows.order_by("agent").values_list("agent", flat=True).distinct()
        return [agent for agent in found[:MOST] if agent]

    def choose(self, version: PromptVersion, *, with_test: bool) -> None:
        """Say what it would take to measure the version."""
        self.chosen, self.with_test = version, with_test
        if self.gold is None or not self.may_ask:
            return
        try:
            order = evaluation_order(version=version, gold=self.gold, with_test=with_test)
            self.estimate = estimate_order(dataset=self.dataset, order=order, member=self.member)
        except InvalidError as error:
            self.refused = self.refused or error.message

    # --- What was taken without a look ------------------------------------------------------------
    @cached_property
    def acceptances(self) -> list[Acceptance]:
        rows = Acceptance.objects.filter(question=self.rule.id)
        return list(rows.select_related("question").order_by("-id")[:MOST])
