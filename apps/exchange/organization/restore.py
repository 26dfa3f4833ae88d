"""An organization from its export: the same state, under the same or another slug.

Ids stay as they are; keys of every table begin with the organization's own, which is new. Members
find their accounts by e-mail; accounts that are made have no password yet. What was on its way is
stopped: jobs that had not ended are cancelled, webhooks wait for a new secret.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import DataError, IntegrityError

from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import uuid7
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current, enter
from apps.events.log import emit
from apps.exchange.organization.export import FORMAT, VERSION
from apps.exchange.organization.files import MANIFEST, Source
from apps.exchange.organization.tables import KEPT_AS_PROOF, Table, exported
from apps.organizations import directory
from apps.organizations.services import check_slug
from apps.users.models import User

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024

# The log is continued here, in transactions of this database.
_GIVEN_BY_THE_DATABASE: Final = {"event": {"xact"}}
_STOP = (
    "UPDATE job_item SET state = 'cancelled', run = NULL"
    " WHERE organization_id = %(o)s AND state IN ('pending', 'leased')",
    "UPDATE job SET state = 'cancelled', finished_at = now(), run_until = NULL"
    " WHERE organization_id = %(o)s AND state NOT IN ('cancelled', 'done', 'failed')",
    "UPDATE webhook SET enabled = false, disabled_reason = 'Imported: it needs a new secret.'"
    " WHERE organization_id = %(o)s AND enabled",
)


@dataclass(frozen=True, slots=True)
class Imported:
    """The organization that was made, and how many rows it has."""

    organization_id: UUID
    slug: str
    rows: int


def import_organization(*, path: Path, slug: str = "") -> Imported:
    """Make the organization of an export, all of it or nothing.

    Raises ``InvalidError`` for what is no whole export of this version, ``ConflictError`` when the
    slug is taken.
    """
    source = Source(path)
    manifest = _read_manifest(source)
    slug = slug or str(manifest["organization"]["slug"])
    check_slug(slug)
    if directory.find_organization(slug):
        raise ConflictError(f"An organization with the slug {slug!r} exists already.")
    for name, facts in manifest["files"].items():
        _check_file(source, name, facts)
    organization_id, rows = uuid7(), 0
    try:
        with enter(organization_id):
            accounts = _accounts(source)
            for table in exported():
                if table.name in manifest["files"] and table.name not in KEPT_AS_PROOF:
                    rows += _Loader(table, slug, accounts).load(source)
            for statement in _STOP:
                raw_cursor().execute(statement, {"o": organization_id})
            _tell(manifest, rows)
    except (DataError, IntegrityError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InvalidError(f"The export does not fit together: {reason}") from error
    return Imported(organization_id, slug, rows)


def _tell(manifest: Mapping[str, Any], rows: int) -> None:
    """The log says where it comes from, and how the log there ended."""
    payload = {
        "from": manifest["organization"]["slug"],
        "exported_at": manifest["exported_at"],
        "rows": rows,
        "event_log": manifest.get("event_log"),
    }
    emit("organization.imported", object_id=current(), payload=payload)


def _read_manifest(source: Source) -> dict[str, Any]:
    try:
        with source.open(MANIFEST) as file:
            manifest = json.load(file)
        known = (manifest["format"], manifest["version"])
        files = dict(manifest["files"])
        complete = {"organization", "membership", "accounts"} <= set(files)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError("This is no manifest of an organization.") from error
    if known != (FORMAT, VERSION) or not complete:
        raise InvalidError("This is no export of an organization that this version can read.")
    unknown = set(files) - {table.name for table in exported()} - {"accounts"}
    if unknown:
        raise InvalidError(f"The export has tables that are not known here: {sorted(unknown)}.")
    manifest["files"] = files
    return dict(manifest)


def _check_file(source: Source, name: str, facts: Mapping[str, Any]) -> None:
    total, rows = hashlib.sha256(), 0
    with source.open(f"{name}.jsonl") as file:
        while block := file.read(1 << 20):
            total.update(block)
            rows += block.count(b"\n")
    if (total.hexdigest(), rows) != (facts["sha256"], facts["rows"]):
        raise InvalidError(f"{name}.jsonl is not the file that the manifest describes.")


def _accounts(source: Source) -> dict[str, str]:
    """The accounts here, by the ids there."""
    found: dict[str, str] = {}
    with source.open("accounts.jsonl") as file:
        for line in file:
            given = json.loads(line)
            email = given["email"]
            user = User.objects.filter(email__iexact=email).first() if email else None
            if user is None:
                names = {name: given[name] for name in ("first_name", "last_name", "language")}
                user = User.objects.create_user(email, None, **names)
            found[given["id"]] = str(user.id)
    return found


class _Loader:
    """Reads the rows of one table."""

    def __init__(self, table: Table, slug: str, accounts: Mapping[str, str]) -> None:
        self._table, self._slug, self._accounts = table, slug, accounts
        self._statement = self._insert()

    def load(self, source: Source) -> int:
        rows = 0
        with source.open(f"{self._table.name}.jsonl") as file:
            for lines in _batches(file):
                given = [self._fit(json.loads(line)) for line in lines]
                values = {"o": current(), "rows": json.dumps(given)}
                raw_cursor().execute(self._statement, values)
                rows += len(given)
        return rows

    def _fit(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row as it is to be here. Raises ``InvalidError`` for a column we do not have."""
        unknown = set(row) - set(self._table.columns)
        if unknown:
            name = self._table.name
            raise InvalidError(f"{name} has columns that are not known here: {sorted(unknown)}.")
        if self._table.name == "organization":
            row["slug"] = self._slug
        if self._table.name == "membership" and row["user_id"] is not None:
            row["user_id"] = self._accounts[row["user_id"]]
        return row

    def _insert(self) -> str:
        table = self._table
        given = _GIVEN_BY_THE_DATABASE.get(table.name, set())
        columns = [column for column in table.columns if column not in given]
        names = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(self._value(column) for column in columns)
        return (
            f'INSERT INTO "{table.name}" ({names}) SELECT {values}'  # noqa: S608
            f' FROM jsonb_populate_recordset(NULL::public."{table.name}", %(rows)s::jsonb) r'
        )

    def _value(self, column: str) -> str:
        if column == self._table.tenant_column:
            return "%(o)s"
        if column in self._table.documents:  # JSON's null is not SQL's
            return f"coalesce(r.\"{column}\", 'null'::jsonb)"
        return f'r."{column}"'


def _batches(lines: Any) -> Iterator[list[bytes]]:
    """Groups of lines that fit in memory together."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
