"""Everything an organization has, as JSON Lines with a manifest, in constant memory.

One transaction that sees one moment. A file has a row of its table in each line, with every column
but the organization's id; the manifest has the counts and SHA-256 of the files, and says what is
left out. Accounts come with the names and addresses of members, never with a password.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current, enter, enter_snapshot
from apps.events.log import emit
from apps.events.models import EventSeal
from apps.exchange.organization.files import MANIFEST, NoSink, Sink, writing
from apps.exchange.organization.tables import BLANKED, KEPT_AS_PROOF, LEFT_OUT, Table, exported
from apps.organizations.models import Organization

FORMAT: Final = "stoneware organization"
VERSION: Final = 1
ROWS_AT_ONCE: Final = 500

_ACCOUNTS = """
SELECT jsonb_build_object('id', u.id, 'email', u.email, 'first_name', u.first_name,
    'last_name', u.last_name, 'language', u.language)::text
FROM user_account u WHERE u.id IN (
    SELECT m.user_id FROM membership m WHERE m.organization_id = %(o)s AND m.user_id IS NOT NULL)
ORDER BY u.id
"""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of an export: its name, lines, bytes and SHA-256 in hex."""

    name: str
    rows: int
    size: int
    sha256: str


def export_organization(*, organization_id: UUID, target: Path) -> dict[str, Any]:
    """Write the organization to a directory or ZIP file; returns the manifest.

    Raises ``ConflictError`` when something is there already.
    """
    with writing(target) as sink:
        return _write(organization_id, sink)


def tell_of_export(*, organization_id: UUID, manifest: Mapping[str, Any]) -> None:
    """The log says that the organization's data leave the host."""
    rows = sum(facts["rows"] for facts in manifest["files"].values())
    with enter(organization_id):
        emit("organization.exported", object_id=organization_id, payload={"rows": rows})


def describe_organization(*, organization_id: UUID) -> dict[str, Any]:
    """The manifest of an export that is not written."""
    return _write(organization_id, NoSink())


def _write(organization_id: UUID, sink: Sink) -> dict[str, Any]:
    with enter_snapshot(organization_id):
        files = [_write_file(sink, "accounts", raw_cursor().stream(_ACCOUNTS, {"o": current()}))]
        for table in exported():
            files.append(_write_file(sink, table.name, _lines(table)))
        manifest = _manifest(files)
    with sink.open(MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    return manifest


def _lines(table: Table) -> Iterator[tuple[str]]:
    """The rows in the order of their key."""
    keys = ", ".join(f't."{column}"' for column in table.key)
    statement = (
        f"SELECT ((to_jsonb(t) - %(out)s) || %(blank)s::jsonb)::text"  # noqa: S608
        f' FROM "{table.name}" t WHERE t."{table.tenant_column}" = %(o)s ORDER BY {keys}'
    )
    values = {
        "o": current(),
        "out": table.tenant_column,
        "blank": json.dumps(BLANKED.get(table.name, {})),
    }
    yield from raw_cursor().stream(statement, values, size=ROWS_AT_ONCE)


def _write_file(sink: Sink, name: str, rows: Iterable[Any]) -> FileFacts:
    total, count, size = hashlib.sha256(), 0, 0
    with sink.open(f"{name}.jsonl") as file:
        for (text,) in rows:
            line = text.encode() + b"\n"
            file.write(line)
            total.update(line)
            count, size = count + 1, size + len(line)
    return FileFacts(name, count, size, total.hexdigest())


def _manifest(files: list[FileFacts]) -> dict[str, Any]:
    organization = Organization.objects.get(id=current())
    head = EventSeal.objects.order_by("-number").first()
    return {
        "format": FORMAT,
        "version": VERSION,
        "organization": {
            "id": str(organization.id),
            "slug": organization.slug,
            "name": organization.name,
        },
        "exported_at": timezone.now().isoformat(),
        "files": {
            one.name: {"rows": one.rows, "bytes": one.size, "sha256": one.sha256} for one in files
        },
        "left_out": dict(LEFT_OUT),
        "blanked": {name: sorted(columns) for name, columns in BLANKED.items()},
        "proof_only": sorted(KEPT_AS_PROOF),
        "event_log": head and {"seals": head.number, "head": head.hash},
    }
