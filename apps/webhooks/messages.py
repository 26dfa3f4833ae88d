"""What the events of the log mean to a webhook, and how a message is written and signed."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from apps.events.models import Event
from apps.webhooks.models import WebhookEvent

_PARTS: Final = ("field", "question", "metadata_property", "vector_settings")
_CHANGES: Final = ("created", "updated", "deleted")

# Event of the log → types of messages. Deletions are not here: their messages are written by the
# transaction that deletes, while there is something to describe.
MEANINGS: Final[Mapping[str, tuple[WebhookEvent, ...]]] = {
    "dataset.created": (WebhookEvent.DATASET_CREATED,),
    "dataset.updated": (WebhookEvent.DATASET_UPDATED,),
    "dataset.published": (WebhookEvent.DATASET_PUBLISHED,),
    "dataset.archived": (WebhookEvent.DATASET_UPDATED,),
    "dataset.unarchived": (WebhookEvent.DATASET_UPDATED,),
    "dataset.questions_changed": (WebhookEvent.DATASET_UPDATED,),
    "dataset.questions_undone": (WebhookEvent.DATASET_UPDATED,),
    "dataset.restored": (WebhookEvent.DATASET_CREATED,),
    **{
        f"{part}.{change}": (WebhookEvent.DATASET_UPDATED,)
        for part in _PARTS
        for change in _CHANGES
    },
    "record.created": (WebhookEvent.RECORD_CREATED,),
    "record.updated": (WebhookEvent.RECORD_UPDATED,),
    "record.completed": (WebhookEvent.RECORD_COMPLETED,),
    "response.created": (WebhookEvent.RECORD_UPDATED, WebhookEvent.RESPONSE_CREATED),
    "response.updated": (WebhookEvent.RECORD_UPDATED, WebhookEvent.RESPONSE_UPDATED),
    "response.deleted": (WebhookEvent.RECORD_UPDATED,),
    "adjudication.created": (WebhookEvent.RECORD_UPDATED,),
    "adjudication.updated": (WebhookEvent.RECORD_UPDATED,),
    "monitor.retrain_due": (WebhookEvent.MONITOR_RETRAIN_DUE,),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell: what happened to which object, and when."""

    type: str
    object_id: UUID
    at: datetime

    @property
    def resource(self) -> str:
        return resource_of(self.type)


def resource_of(type: str) -> str:
    """``record`` of ``record.created``."""
    return type.partition(".")[0]


def kinds_behind(types: Iterable[str]) -> set[str]:
    """The kinds of events in the log that give messages of the types."""
    wanted = set(types)
    return {kind for kind, meanings in MEANINGS.items() if wanted.intersection(meanings)}


def notices_of(event: Event, wanted: set[str]) -> Iterator[Notice]:
    """What the event tells of the wanted types; a bulk write tells of each record."""
    for type in MEANINGS.get(event.kind, ()):
        if type in wanted:
            for object_id in _objects(event, resource_of(type)):
                yield Notice(type, object_id, event.inserted_at)


def _objects(event: Event, resource: str) -> list[UUID]:
    if resource == "dataset":
        ids = [event.dataset_id]
    elif resource == "record" and "records" in event.payload:
        ids = [UUID(id) for id in event.payload["records"]]
    elif resource == "record" and "record" in event.payload:
        ids = [UUID(event.payload["record"])]
    else:
        ids = [event.object_id]
    return [id for id in ids if id is not None]


def compose(type: str, at: datetime, document: bytes) -> str:
    """The body of a message around the object's JSON document."""
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f'{{"type":"{type}","version":1,"timestamp":"{stamp}","data":{document.decode()}}}'


def sign(secrets: Iterable[str], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The header of the Standard Webhooks: a signature by each secret, joined by blanks."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(b64decode(secret), signed, "sha256") for secret in secrets)
    return " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)
