"""What the annotate page shows, gathered from the domain: one object a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.urls import reverse

from apps.annotation import distribution, history, progress
from apps.core.prepared import fetch
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.labeling import queue
from apps.labeling.fields import FieldCard, show_fields, show_metadata
from apps.labeling.markup import render_guidelines
from apps.labeling.narrowing import ALL, Narrowing, Way, read_narrowing
from apps.labeling.questions import QuestionCard, show_questions
from apps.organizations.models import Membership, Role
from apps.records.models import Suggestion
from apps.search.asked import Asked


@dataclass
class AnnotatePage:
    """The record on the table, its questions, and how far the member and the dataset are.

    ``status`` is the queue shown. ``values`` and ``errors`` are those of an answer that could not
    be saved; without them the stored answer is shown. ``told`` are the codes of what the person is
    to be told (templates/labeling/_told.html), ``strays`` the answers to questions that are gone.
    ``overview`` may be given where several pages of one dataset are shown. ``pairs`` are what an
    address asks of the queue. One that ``is_ahead`` leaves its place in a part of the queue to the
    page that it comes to; ``is_new`` tells that page of one answer more.
    """

    dataset: Dataset
    member: Membership
    status: str = queue.PENDING
    turn: queue.Turn | None = None
    values: Mapping[str, Any] | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[str] = ()
    strays: str = ""
    pairs: Sequence[tuple[str, str]] = ()
    is_ahead: bool = False
    is_new: bool = False
    narrowing: Narrowing | None = field(init=False)
    schema: DatasetSchema = field(init=False)
    request_key: UUID = field(init=False, default_factory=uuid4)

    told_codes: ClassVar = (
        *("extra", "replaced", "changed", "undone", "redone", "nothing", "kept", "unopened"),
    )

    def __post_init__(self) -> None:
        self.schema = load_schema(self.dataset)
        self.narrowing = read_narrowing(self.schema, self.member, self.pairs)

    @cached_property
    def questions(self) -> list[QuestionCard]:
        if self.turn is None:
            return []
        rows = fetch(Suggestion, "record_id = %(record)s", record=self.turn.record.id)
        suggestions = {row.question_id: row for row in rows}
        values = self.values
        if values is None:
            values = self.turn.response.values if self.turn.response else {}
        fields = self.turn.record.fields
        return show_questions(self.schema, suggestions, values, self.errors, fields)

    @cached_property
    def fields(self) -> list[FieldCard]:
        if self.turn is None:
            return []
        record = self.turn.record
        return show_fields(self.schema, record.fields, self.questions, record_id=record.id)

    @cached_property
    def metadata(self) -> list[tuple[str, str]]:
        if self.turn is None:
            return []
        all_of_it = self.member.role != Role.ANNOTATOR
        return show_metadata(self.schema, self.turn.record.metadata, all_of_it=all_of_it)

    @cached_property
    def overview(self) -> progress.Overview:
        return progress.overview(datasets=[self.dataset], annotator=self.member)[self.dataset.id]

    @cached_property
    def last_act(self) -> history.Act | None:
        return history.last_act(dataset=self.dataset, annotator=self.member)

    @cached_property
    def last_undone(self) -> history.Act | None:
        return history.last_undone(dataset=self.dataset, annotator=self.member)

    @cached_property
    def queue_state(self) -> distribution.QueueState:
        """Asked for only when there is nothing to show."""
        return distribution.queue_state(dataset=self.dataset, annotator=self.member)

    @cached_property
    def place(self) -> queue.Place | None:
        """Where the record stands among one's own answers; None in the pending queue."""
        if self.turn is None or self.turn.response is None or self.status == queue.PENDING:
            return None
        return queue.find_place(
            self.dataset, self.member, self.status, self.turn.record.id, self.narrowing
        )

    @property
    def seen(self) -> str:
        """The stored answer that the form was made of; nothing for none."""
        response = self.turn.response if self.turn else None
        return response.updated_at.isoformat() if response else ""

    @property
    def wrong(self) -> list[QuestionCard]:
        return [card for card in self.questions if card.error]

    @property
    def count(self) -> int:
        """How many records the shown queue has."""
        if self.place is not None and self.place.total is not None:
            return self.place.total
        mine = self.overview.mine
        return mine.total - mine.pending if self.status == ALL else getattr(mine, self.status)

    @property
    def status_icon(self) -> str:
        return f"st-{self.turn.response.status}" if self.turn and self.turn.response else ""

    @property
    def guidelines(self) -> str:
        return render_guidelines(self.dataset.guidelines) if self.dataset.guidelines else ""

    @property
    def url(self) -> str:
        """The page's own address, to which a script sets the browser."""
        record = self.turn.record.id if self.turn and self.status != queue.PENDING else None
        return self.url_of(self.status, record)

    # --- A part of the queue ------------------------------------------------------------------
    @cached_property
    def part(self) -> Narrowing:
        """What is asked of the queue; all of it where nothing is."""
        return self.narrowing or Narrowing(self.schema, self.member, Asked())

    @property
    def sorts(self) -> list[tuple[str, str, bool]]:
        """Value, name, and whether it is chosen, of each order."""
        return self.part.sorts

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Each filter in words, and where it is dropped."""
        return self.narrowing.drops(self.status) if self.narrowing else []

    @property
    def is_narrowed_to_nothing(self) -> bool:
        """Nothing is shown because of what is asked, not because of a quota."""
        if self.narrowing is None or not self.narrowing.is_filtered:
            return False
        return self.status != queue.PENDING or not self.queue_state.quota_reached

    @property
    def ways_out(self) -> list[Way]:
        return self.narrowing.ways_out(self.status) if self.narrowing else []

    @property
    def query(self) -> str:
        """What is asked of the queue, as it stands in an address."""
        return self.narrowing.text if self.narrowing else ""

    @property
    def passed(self) -> str:
        """The query with what was skipped under it, for forms."""
        skipped = [("passed", str(id)) for id in self.narrowing.passed] if self.narrowing else []
        return urlencode([*(self.narrowing.pairs if self.narrowing else []), *skipped])

    @property
    def queue_url(self) -> str:
        """The pending records, as they are asked for."""
        return self.url_of(queue.PENDING)

    @property
    def before_url(self) -> str:
        place = self.place
        return self.url_of(self.status, place.before) if place and place.before else ""

    @property
    def after_url(self) -> str:
        """The next of own answers; after the last one the pending records."""
        place = self.place
        if place is None or place.after is None:
            return self.queue_url
        return self.url_of(self.status, place.after)

    def url_of(self, status: str, record_id: UUID | None = None, **more: str) -> str:
        """A queue or a record in it, with all that is asked of the queue."""
        pairs = self.narrowing.pairs if self.narrowing else ()
        return annotate_url(self.dataset.id, status, record_id, pairs, **more)


def annotate_url(
    dataset_id: UUID,
    status: str = queue.PENDING,
    record_id: UUID | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    **more: str,
) -> str:
    """Where a queue, or one record in it, is answered; ``more`` goes into the address too."""
    query: list[tuple[str, str]] = []
    if status != queue.PENDING:
        query.append(("status", status))
    if record_id is not None:
        query.append(("record", str(record_id)))
    query += [*pairs, *((name, text) for name, text in more.items() if text)]
    path = reverse("labeling:annotate", args=[dataset_id])
    return f"{path}?{urlencode(query)}" if query else path
