"""A job as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from apps.console.provider_form import JobBudgetForm, limits_of
from apps.console.words import RECIPES, STATES, kind_words
from apps.jobs.models import ItemState, Job, JobItem, JobReject, JobState
from apps.llms.budgets import Standing, standing_of
from apps.llms.models import LedgerEntry
from apps.pipelines.dry_runs import dry_run_items
from apps.pipelines.models import DryRunItem

SHOWN: Final = 50  # failed items, and units that were left out
_STEPS: Final = {
    "pause": {JobState.QUEUED, JobState.RUNNING},
    "resume": {JobState.PAUSED, JobState.CANCELLED},
    "cancel": {JobState.QUEUED, JobState.RUNNING, JobState.PAUSED},
    "retry": {JobState.DONE, JobState.FAILED},
}


@dataclass(frozen=True)
class JobCard:
    """The job with its words; no query of its own."""

    job: Job

    @property
    def name(self) -> str:
        return kind_words(self.job.kind)

    @property
    def state(self) -> str:
        return str(STATES[self.job.state][0])

    @property
    def shape(self) -> str:
        """The status whose shape and colour stand for the state."""
        return STATES[self.job.state][1]

    @property
    def icon(self) -> str:
        return f"st-{self.shape}"

    @property
    def agent(self) -> str:
        return str(self.job.params.get("agent") or "")

    @property
    def is_dry(self) -> bool:
        return bool(self.job.params.get("dry_run"))

    @property
    def is_running(self) -> bool:
        """Whether it is worth looking again."""
        return self.job.state in {JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING}

    @property
    def gone(self) -> int:
        """Units that are done or failed."""
        return self.job.done + self.job.failed

    @property
    def percent(self) -> int:
        return self.gone * 100 // self.job.total if self.job.total else 0

    @property
    def brings_records(self) -> bool:
        """Whether people may begin with what it has brought."""
        return self.job.kind in {"file_import", "dataset_copy", "hub_import"}

    def may(self, step: str) -> bool:
        """Whether the state allows to pause, resume, cancel or retry."""
        if step == "retry" and self.job.planned_at and not self.job.failed:
            return False
        if step == "retry" and self.brings_records and self.job.state == JobState.DONE:
            return False  # rows that were left out would be left out again
        return self.job.state in _STEPS[step]

    @property
    def may_pause(self) -> bool:
        return self.may("pause")

    @property
    def may_resume(self) -> bool:
        return self.may("resume")

    @property
    def may_cancel(self) -> bool:
        return self.may("cancel")

    @property
    def may_retry(self) -> bool:
        return self.may("retry")


@dataclass(frozen=True)
class JobPage(JobCard):
    """The job with what it spent and what went wrong."""

    @cached_property
    def spent(self) -> dict[str, Any]:
        return LedgerEntry.objects.of_job(self.job.id).totals()

    @property
    def asks_a_model(self) -> bool:
        return bool(self.job.params.get("provider_id"))

    @property
    def calls(self) -> int:
        """Answers it got, paid or not."""
        return int(self.spent["call"] + self.spent["hit"])

    @property
    def tokens(self) -> int:
        return int(self.spent["prompt_tokens"] + self.spent["completion_tokens"])

    @cached_property
    def budget(self) -> Standing:
        return standing_of(self.job.id)

    @property
    def may_change_budget(self) -> bool:
        """Whether it asks a model, now or once somebody lets it go on."""
        if not self.asks_a_model or self.is_dry:
            return False
        return self.may_pause or self.may_resume or self.may_retry

    @cached_property
    def budget_form(self) -> JobBudgetForm:
        return JobBudgetForm(initial=limits_of(self.budget))

    @property
    def estimate(self) -> dict[str, Any] | None:
        found = self.job.params.get("estimate")
        return found if self.asks_a_model and isinstance(found, dict) else None

    @property
    def reason(self) -> str:
        """Why it stopped, where no single item is to blame."""
        told = [one["error"] for one in self.job.error_sample if one.get("seq") is None]
        return str(told[0]) if told else ""

    @cached_property
    def failures(self) -> Sequence[JobItem]:
        """The first items that failed."""
        rows = JobItem.objects.filter(job=self.job, state=ItemState.FAILED).order_by("seq")
        return list(rows[:SHOWN]) if self.job.failed else []

    @cached_property
    def rejects(self) -> Sequence[JobReject]:
        """The first units that were left out."""
        return list(JobReject.objects.filter(job=self.job).in_order()[:SHOWN])

    @cached_property
    def tried(self) -> Sequence[DryRunItem]:
        """The items of a dry run so far."""
        return dry_run_items(self.job) if self.is_dry else []

    @property
    def is_repeatable(self) -> bool:
        """Whether the form of its recipe can be filled from it."""
        return self.job.kind in RECIPES and "selection" in self.job.params

    @property
    def makes_drafts(self) -> bool:
        return self.job.params.get("write_mode") == "new_records" and not self.is_dry

    @property
    def version(self) -> str:
        """Changes whenever the page has something new to say."""
        job = self.job
        return f"{job.state}.{job.done}.{job.failed}.{job.total}.{job.updated_at.timestamp()}"
