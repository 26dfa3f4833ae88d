"""Changing what a draft says before it is let in; what the model wrote stays beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.datasets import content
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import refuse_archived
from apps.drafts.comparison import compare_again
from apps.drafts.content import same
from apps.drafts.models import Draft, DraftState
from apps.drafts.provenance import edited_parts
from apps.events.log import emit
from apps.organizations.models import Membership
from apps.records.bulk import clean_suggestion
from apps.records.inputs import SuggestionInput

Reasons = dict[str, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """What a draft shall say, each part as a whole; None leaves a part as it is.

    ``suggestions`` are ``[{"question": name, "value": …, "score": …}]``; without a score those
    whose value stays keep theirs.
    """

    fields: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    suggestions: Sequence[Mapping[str, Any]] | None = None


class RefusedEditError(InvalidError):
    """The dataset would not take such a record; ``reasons`` by ``fields.text`` and the like."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(reasons.values()))
        self.reasons = reasons


@transaction.atomic
def edit_draft(
    *, draft: Draft, edit: Edit, member: Membership, version: str | None = None
) -> Draft:
    """Let the waiting draft say something else, and return it as it is now.

    Marks of likeness follow the new text; verdicts of filters on the old one go with it. A draft
    that says again what the model wrote counts as unchanged, its verdicts included. ``version`` is
    that of the draft which was looked at. Raises ``RefusedEditError`` for what the dataset would
    not take; ``ConflictError`` for a draft that is decided, or has another version by now;
    ``NotFoundError`` for one that is gone.
    """
    rows = Draft.objects.select_for_update(of=("self",)).select_related("dataset")
    row = rows.filter(id=draft.id).first()
    if row is None:
        raise NotFoundError(f"Draft with id `{draft.id}` not found")
    refuse_archived(row.dataset)
    if row.state != DraftState.WAITING:
        raise ConflictError(gettext("Somebody has decided on this draft meanwhile."))
    if version is not None and version != row.version:
        raise ConflictError(gettext("Somebody has changed this draft meanwhile."))
    schema = load_schema(row.dataset)
    cleaned = _Cleaning(schema, row, edit)
    if cleaned.reasons:
        raise RefusedEditError(cleaned.reasons)
    before, after = _said(row), cleaned.said
    if not same(after, before):
        _write(schema, row, after, member)
    return row


def reasons_against(draft: Draft, edit: Edit) -> Reasons:
    """Why the dataset would not take the edited draft; nothing is changed."""
    return _Cleaning(load_schema(draft.dataset), draft, edit).reasons


def _said(draft: Draft) -> dict[str, Any]:
    return {
        "fields": draft.fields,
        "metadata": draft.metadata,
        "suggestions": draft.suggestions,
    }


def _write(schema: DatasetSchema, row: Draft, after: dict[str, Any], member: Membership) -> None:
    says_else = not same(after["fields"], row.fields)
    written = row.written or {**_said(row), "reasons": row.reasons}
    row.fields, row.metadata = after["fields"], after["metadata"]
    row.suggestions = after["suggestions"]
    if same(after, {part: written[part] for part in after}):
        row.written = row.edited_at = row.edited_by = None
        _judge(row, written["reasons"])
    else:
        row.written, row.edited_at, row.edited_by = written, timezone.now(), member
        if says_else:
            _judge(row, [])
    if says_else:
        compare_again(schema, row)
    row.save()
    payload = {"parts": edited_parts(row)}
    emit("draft.edited", dataset_id=row.dataset_id, object_id=row.id, payload=payload)


def _judge(row: Draft, reasons: list[dict[str, Any]]) -> None:
    """These verdicts of filters hold, and no others."""
    scores = [reason["score"] for reason in reasons if reason["score"] is not None]
    row.reasons = reasons
    row.keep = all(reason["keep"] for reason in reasons) if reasons else None
    row.score = min(scores, default=None)


@dataclass
class _Cleaning:
    """An edit held against the dataset: what the draft would say, and reasons against it."""

    schema: DatasetSchema
    draft: Draft
    edit: Edit
    reasons: Reasons = field(default_factory=dict)
    said: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        edit, draft = self.edit, self.draft
        fields = self._fields(draft.fields if edit.fields is None else edit.fields)
        metadata = draft.metadata if edit.metadata is None else self._metadata(edit.metadata)
        given = draft.suggestions if edit.suggestions is None else edit.suggestions
        self.said = {
            "fields": fields,
            "metadata": metadata,
            "suggestions": self._suggestions(given, fields),
        }

    def _fields(self, given: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = {}
        for name, value in given.items():
            part = self.schema.fields.get(name)
            try:
                if part is None:
                    raise InvalidError(f"the dataset has no field {name!r}")
                clean = content.clean_field(part, value)
                stored = self.draft.fields.get(name)
                cleaned[name] = stored if same(stored, value) else clean
            except InvalidError as error:
                self.reasons[f"fields.{name}"] = error.message
        for name in self.schema.required_fields:
            if given.get(name) is None:
                self.reasons[f"fields.{name}"] = f"missing required value for field: {name!r}"
        if not given:
            self.reasons["fields"] = "fields cannot be empty"
        return cleaned

    def _metadata(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a model noted and nobody changed need not suit: the record goes without it."""
        if len(given) > content.MAX_METADATA_KEYS:
            self.reasons["metadata"] = f"metadata has more than {content.MAX_METADATA_KEYS} keys"
        for name, value in given.items():
            if name in self.draft.metadata and same(self.draft.metadata[name], value):
                continue
            try:
                content.check_metadata(self.schema, {name: value})
            except InvalidError as error:
                self.reasons[f"metadata.{name}"] = error.message
        return dict(given)

    def _suggestions(
        self, given: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        cleaned: dict[str, dict[str, Any]] = {}
        for one in given:
            name = str(one["question"])
            try:
                if name in cleaned:
                    raise InvalidError(f"question {name!r} has two suggestions")
                cleaned[name] = self._suggestion(name, one, fields)
            except InvalidError as error:
                self.reasons[f"suggestions.{name}"] = error.message
        return list(cleaned.values())

    def _suggestion(
        self, name: str, one: Mapping[str, Any], fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        before = next((s for s in self.draft.suggestions if s["question"] == name), None)
        rule = self.schema.questions.get(name)
        if rule is None:
            if same(before, one):  # its question is gone: the record goes without it
                return dict(one)
            raise InvalidError(f"the dataset has no question {name!r}")
        stays = before is not None and same(before["value"], one["value"])
        kept = before.get("score") if before is not None and stays else None
        suggestion = SuggestionInput(rule.id, one["value"], one.get("score", kept))
        clean_suggestion(self.schema, suggestion, fields, strict=True)
        if before is not None and stays and same(suggestion.score, kept):
            return dict(before)
        scored = {} if suggestion.score is None else {"score": suggestion.score}
        return {"question": name, "value": suggestion.value, **scored}
