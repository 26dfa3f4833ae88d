"""What the member has to do, and the datasets they see."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.annotation import progress
from apps.datasets.models import Dataset, DatasetStatus
from apps.labeling.http import LabelingRequest, for_members, is_fragment


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset in a list, with its progress and the member's."""

    dataset: Dataset
    overview: progress.Overview

    @property
    def is_done(self) -> bool:
        return self.overview.dataset.total > 0 and self.overview.dataset.pending == 0

    @property
    def has_work(self) -> bool:
        """Something is left for the member; completed records need nobody."""
        return not self.is_done and self.overview.mine.pending > 0

    @property
    def is_begun(self) -> bool:
        return self.overview.mine.pending < self.overview.mine.total

    @property
    def goal(self) -> tuple[int, int]:
        """Done and wanted: of today's quota, or of all the records."""
        mine = self.overview.mine
        if mine.daily_quota:
            return mine.submitted_today, mine.daily_quota
        return mine.total - mine.pending, max(mine.total, 1)

    @property
    def shares(self) -> tuple[float, float, float]:
        """Completed records, and the member's submitted answers and drafts beyond, in percent."""
        total = max(self.overview.dataset.total, 1)
        completed = 100 * self.overview.dataset.completed / total
        mine = self.overview.mine
        submitted = min(100 * mine.submitted / total, 100) - completed
        drafts = min(100 * mine.draft / total, 100 - completed - max(submitted, 0))
        return round(completed, 1), round(max(submitted, 0), 1), round(drafts, 1)

    @property
    def draft_start(self) -> float:
        return self.shares[0] + self.shares[1]


@never_cache
@require_GET
@for_members
def home(request: LabelingRequest) -> HttpResponse:
    """The member's queues: what is pending, what was done today, where to go on."""
    rows = [row for row in _rows(request) if row.dataset.status == DatasetStatus.READY]
    rows.sort(key=lambda row: (not row.has_work, not row.is_begun))  # then latest activity first
    going_on = next((row for row in rows if row.has_work), None)
    today = sum(row.overview.mine.submitted_today for row in rows)
    context = {"rows": rows, "going_on": going_on, "today": today}
    return render(request, "labeling/home.html", context)


@never_cache
@require_GET
@for_members
def datasets(request: LabelingRequest) -> HttpResponse:
    """Every dataset the member sees, searched by name; a script gets the table alone."""
    search = request.GET.get("q", "").strip()
    rows = _rows(request, search)
    template = "labeling/_dataset_table.html" if is_fragment(request) else "labeling/datasets.html"
    return render(request, template, {"rows": rows, "search": search})


def _rows(request: LabelingRequest, search: str = "") -> list[DatasetRow]:
    """One query for the datasets, three for the progress of all of them."""
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    found = list(visible.filter(name__icontains=search).order_by("-last_activity_at", "id"))
    overviews = progress.overview(datasets=found, annotator=request.member) if found else {}
    return [DatasetRow(dataset, overviews[dataset.id]) for dataset in found]
