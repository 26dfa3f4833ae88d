"""The export of an organization as a job, and its file until somebody fetched it."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.core.tenancy import current
from apps.events.log import emit
from apps.exchange.organization.export import export_organization
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job, JobState
from apps.jobs.services import enqueue
from apps.organizations.models import Membership

KIND: Final = "organization_export"
KEPT_FOR: Final = timedelta(days=7)


@transaction.atomic
def start_organization_export(*, created_by: Membership) -> Job:
    """Export the entered organization, as a job. Raises ``ConflictError`` while one runs."""
    return enqueue(kind=KIND, subject="organization", created_by=created_by)


def newest_exports(count: int) -> list[Job]:
    """The newest jobs of the kind in the entered organization."""
    return list(Job.objects.filter(kind=KIND).newest_first()[:count])


def find_file(job: Job) -> Path | None:
    """The file of a finished export, while it is kept."""
    path = _path(current(), job.id)
    done = job.kind == KIND and job.state == JobState.DONE
    return path if done and path.exists() else None


def forget_exports() -> int:
    """Delete the files that are older than a week; returns how many."""
    oldest, forgotten = time.time() - KEPT_FOR.total_seconds(), 0
    for path in Path(settings.EXPORTS_DIR).glob("*/*"):
        if path.is_file() and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
            forgotten += 1
    return forgotten


def _path(organization_id: UUID, job_id: UUID) -> Path:
    return Path(settings.EXPORTS_DIR) / str(organization_id) / f"{job_id}.zip"


class OrganizationExport(Kind[None, dict[str, Any]]):
    """One item, which writes the file; its result is the manifest."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        yield Planned({})

    def read(self, work: Work) -> None:
        """Nothing: all is read in one snapshot while it is written."""

    def compute(self, work: Work, material: None) -> dict[str, Any]:
        target = _path(work.organization_id, work.job.id)
        target.unlink(missing_ok=True)  # of a try whose worker died
        return export_organization(organization_id=work.organization_id, target=target)

    def write(self, work: Work, result: dict[str, Any]) -> Decimal:
        rows = sum(facts["rows"] for facts in result["files"].values())
        size = _path(work.organization_id, work.job.id).stat().st_size
        facts = {"rows": rows, "bytes": size}
        Job.objects.filter(id=work.job.id).update(params=facts)
        emit("organization.exported", object_id=work.job.id, payload=facts)
        return FREE
