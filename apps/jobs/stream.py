"""A slice of a streamed job: pages are leased, items computed in a loop, results stored in groups.

A group is whatever has landed while the one before was being stored: an answer never waits for a
timer, and a busy job pays for few transactions. The thread of the slice is the only one that
talks to the database.
"""

import logging
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from django.db import OperationalError, transaction

from apps.core.tenancy import enter
from apps.jobs import fates, leases
from apps.jobs.errors import PauseJobError, RetryLaterError, SteeringError
from apps.jobs.fates import Fate
from apps.jobs.kinds import FREE, StreamedKind, Undone, Work
from apps.jobs.models import Job
from apps.jobs.pool import give_back
from apps.jobs.runs import Run
from apps.jobs.services import add_cost
from apps.jobs.workshop import Errand, Landing, Workshop, in_database

__all__ = ["in_database", "work_off"]

LEAST_AHEAD: Final = 8  # items that wait, read, for those in flight to land
LOOK_EVERY: Final = 0.5  # seconds until a slice with room looks for items that have become due
PATIENCE: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between tries to store a group

_logger = logging.getLogger(__name__)


def work_off(
    run: Run, job: Job, kind: StreamedKind[Any, Any], may_begin: Callable[[], bool]
) -> None:
    """Do items until none is free, the job is stopped or ``may_begin`` says no.

    Raises the ``SteeringError`` of an item once everything in flight has been stored.
    """
    with Workshop(kind) as workshop:
        Stream(run, job, kind, workshop, may_begin).work_off()


class _TooMuchError(Exception):
    """A page could not be read; one of ``smaller`` pages might."""

    def __init__(self, smaller: int) -> None:
        super().__init__(smaller)
        self.smaller = smaller


class _NotNowError(Exception):
    """Nothing can be read before something in flight has come back."""


class Stream:
    """The state of one slice."""

    def __init__(
        self,
        run: Run,
        job: Job,
        kind: StreamedKind[Any, Any],
        workshop: Workshop,
        may_begin: Callable[[], bool],
    ) -> None:
        self.run = run
        self.job = job
        self.kind = kind
        self.workshop = workshop
        self.may_begin = may_begin
        self.in_hand = 0  # leased, and not back yet
        self.ahead = max(kind.concurrency, LEAST_AHEAD)  # each is booked when a worker dies
        self.most = kind.concurrency + self.ahead
        self.page = self.most
        self.is_stopped = False
        self.halt: SteeringError | None = None

    def work_off(self) -> None:
        while True:
            self._lease()
            if not self.in_hand:
                break
            has_room = self.in_hand < self.kind.concurrency
            self._take_back(self.workshop.landed(LOOK_EVERY if has_room else 10 * LOOK_EVERY))
        if self.halt is not None:
            raise self.halt

    # --- Out ------------------------------------------------------------------------------------

    def _lease(self) -> None:
        """Fill up what waits, unless enough does."""
        if not self.is_stopped and not self.may_begin():
            self._stop()
        room = self.most - self.in_hand
        while not self.is_stopped and 2 * room >= self.ahead:
            asked = min(room, self.page)
            try:
                pairs = self.read(asked)
            except _NotNowError:
                return
            except OperationalError:
                if not self.in_hand:
                    raise
                give_back()  # what is in flight is stored when the database is back
                return
            except _TooMuchError as error:
                self.page = error.smaller
                continue
            if pairs is None:
                return
            self.in_hand += len(pairs)
            room -= len(pairs)
            self.page = min(2 * self.page, self.most)
            self.workshop.submit(pairs)
            if 0 < len(pairs) < asked:
                return

    def read(self, limit: int) -> list[tuple[Work, Any]] | None:
        """Lease a page and read it, in one transaction; None when nothing is free.

        A single item that cannot be read is settled; then the page is empty.
        """
        with enter(self.run.organization_id):
            works = leases.take_many(self.run, self.job, limit=limit)
            if not works:
                return None
            try:
                with transaction.atomic():
                    return list(zip(works, self.kind.read_many(works), strict=True))
            except Exception as error:
                if len(works) > 1:
                    raise _TooMuchError(len(works) // 2) from error
                if isinstance(error, PauseJobError) and self.in_hand:
                    raise _NotNowError from error
                self._settle([(works[0], self._after(works[0], error))])
                return []

    # --- And back -------------------------------------------------------------------------------

    def _take_back(self, landed: Sequence[Landing | Errand]) -> None:
        landings = [one for one in landed if isinstance(one, Landing)]
        self.in_hand -= len(landings)
        if landings:
            self._store_or_split(landings)
        for one in landed:
            if isinstance(one, Errand):
                self._run_errand(one)

    def _store_or_split(self, landings: Sequence[Landing]) -> None:
        """Store the group; if that fails, each alone, so that only the culprit is blamed."""
        try:
            self._store_patiently(landings)
        except Exception as error:
            if len(landings) > 1:
                _logger.warning("Job %s: a group is stored one by one", self.job.id, exc_info=True)
                for landing in landings:
                    self._store_or_split([landing])
                return
            work = landings[0].work
            _logger.warning("Job %s, item %s failed", self.job.id, work.seq, exc_info=True)
            with enter(self.run.organization_id):
                self._settle([(work, self._after(work, error))])

    def _store_patiently(self, landings: Sequence[Landing]) -> None:
        """What was computed is worth waiting some seconds for a database that restarts."""
        for patience in PATIENCE:
            try:
                return self.store(landings)
            except OperationalError:
                _logger.warning("Job %s waits for the database", self.job.id, exc_info=True)
                give_back()
                time.sleep(patience)
        return self.store(landings)

    def store(self, landings: Sequence[Landing]) -> None:
        """Store results and completions, in one transaction; what others took is only booked."""
        with enter(self.run.organization_id):
            held = leases.hold_many(self.job, [landing.work for landing in landings])
            ours = [landing for landing in landings if landing.work.seq in held]
            if len(ours) < len(landings):
                _logger.warning("Job %s: items were taken by another run meanwhile", self.job.id)
            lost = [landing for landing in landings if landing.work.seq not in held]
            paid = self._let_go(lost) if lost else FREE
            self._settle(self._write(ours))
            if paid:
                add_cost(job_id=self.job.id, usd=paid)

    def _let_go(self, lost: Sequence[Landing]) -> Decimal:
        """What was spent on lost items is spent, and their answers are worth keeping."""
        unbegun = [(one.work, one.material) for one in lost if not one.begun]
        if unbegun:
            self.kind.release_many(unbegun)
        pairs = [(one.work, one.result) for one in lost if one.begun and one.error is None]
        return self.kind.settle_lost(pairs) if pairs else FREE

    def _write(self, landings: Sequence[Landing]) -> list[tuple[Work, Fate]]:
        unbegun = [(one.work, one.material) for one in landings if not one.begun]
        if unbegun:
            self.kind.release_many(unbegun)
        settled = [(work, fates.put_back()) for work, _ in unbegun]
        for one in landings:
            if one.error is not None:
                settled.append((one.work, self._after(one.work, one.error)))
        pairs = [(one.work, one.result) for one in landings if one.begun and one.error is None]
        verdicts = self.kind.write_many(pairs) if pairs else []
        for (work, _), verdict in zip(pairs, verdicts, strict=True):
            if isinstance(verdict, Undone):
                settled.append((work, self._after(work, verdict.error).costing(verdict.cost)))
            else:
                settled.append((work, fates.done(verdict)))
        return settled

    def _settle(self, settled: Sequence[tuple[Work, Fate]]) -> None:
        if settled and not leases.settle_many(self.job, settled):
            self._stop()

    def _after(self, work: Work, error: Exception) -> Fate:
        if isinstance(error, SteeringError) and not isinstance(error, RetryLaterError):
            self.halt = self.halt or error
            self._stop()
        return fates.after(work, error, max_attempts=self.kind.max_attempts)

    def _stop(self) -> None:
        """Begin nothing more; what is in flight is waited for."""
        if not self.is_stopped:
            self.is_stopped = True
            self.workshop.withdraw()

    def _run_errand(self, errand: Errand) -> None:
        try:
            with enter(self.run.organization_id):
                result = errand.function()
        except Exception as error:  # noqa: BLE001  (raised where it was asked for)
            self.workshop.answer(errand, None, error)
        else:
            self.workshop.answer(errand, result, None)
