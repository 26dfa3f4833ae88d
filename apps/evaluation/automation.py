"""Selective automation: the sure answers of a measured agent are taken without a look.

The threshold is chosen on the development split, where the precision it keeps is at least the
target by Clopper and Pearson's lower bound. Since the best of many thresholds looks better than it
is, the test split then has its say: the precision found there must reach the target too.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from apps.core.errors import ConflictError, InvalidError
from apps.evaluation.models import Evaluation, Split
from apps.evaluation.reading import measured_of
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.quality.acceptance import accept_suggestions, acceptable
from apps.quality.measures.confidence import Accepted, accepted_at, widest
from apps.quality.measures.report import confident, scores
from apps.quality.models import Acceptance


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be taken: ``dev`` None where no threshold keeps the target's promise.

    ``test`` is None where the test split was not measured; ``ready`` suggestions of the agent
    are sure enough today.
    """

    target: float
    dev: Accepted | None
    test: Accepted | None
    ready: int

    @property
    def holds(self) -> bool:
        """Whether the test split confirms what the development split promises."""
        precision = self.test.precision if self.test else None
        return precision is not None and precision >= self.target

    def as_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "dev": self.dev.as_json() if self.dev else None,
            "test": self.test.as_json() if self.test else None,
            "holds": self.holds,
            "ready": self.ready,
        }


def plan_automation(evaluation: Evaluation, *, target: float) -> Plan:
    """The threshold for a precision of ``target``, and what it comes to. Raises ``InvalidError``
    for a target that is no share, ``ConflictError`` before the evaluation is measured."""
    if not 0 < target < 1:
        raise InvalidError(gettext("The precision lies above 0 and below 1."))
    if evaluation.measured_at is None:
        raise ConflictError(gettext("The evaluation is not finished yet."))
    _, dev = measured_of(evaluation, Split.DEV)
    found = widest(*confident(dev, scores(dev)), target=target)
    if found is None:
        return Plan(target, None, None, 0)
    tested = None
    if evaluation.look is not None:
        _, test = measured_of(evaluation, Split.TEST)
        tested = accepted_at(found.threshold, *confident(test, scores(test)))
    question = evaluation.gold_set.question
    ready = acceptable(question, evaluation.agent, found.threshold).count()
    return Plan(target, found, tested, ready)


def automate(
    *, evaluation: Evaluation, target: float, created_by: Membership | None = None
) -> tuple[Acceptance, Job]:
    """Take what is sure enough, as a job, and hand the rest to people, least certain first.

    Raises what ``plan_automation`` raises, and ``ConflictError`` where no threshold keeps the
    target or the test split does not confirm it.
    """
    plan = plan_automation(evaluation, target=target)
    if plan.dev is None:
        raise ConflictError(
            gettext("No threshold keeps a precision of %s on this gold set.") % f"{target:.0%}"
        )
    if plan.test is None:
        raise ConflictError(gettext("Measure the test split first: it must confirm the threshold."))
    if not plan.holds:
        raise ConflictError(
            gettext("The test split does not confirm it: its precision is %s.")
            % f"{plan.test.precision or 0:.1%}"
        )
    return accept_suggestions(
        question=evaluation.gold_set.question,
        agent=evaluation.agent,
        threshold=plan.dev.threshold,
        basis={
            "target": target,
            "evaluation_id": str(evaluation.id),
            "gold_set_id": str(evaluation.gold_set_id),
            "dev": plan.dev.as_json(),
            "test": plan.test.as_json(),
        },
        created_by=created_by,
    )
