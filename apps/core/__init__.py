"""What every app stands on: tenancy, ids, errors, field types, the embedded engines.

No tables and no imports of our own apps. Decisions taken here:

- A tenant row carries ``organization``; its physical key is ``(organization_id, id)`` and its
  policy compares ``organization_id`` with the transaction-local ``app.organization_id``.
- The policy raises outside a tenant instead of finding nothing, so a forgotten ``enter`` is loud.
- Tenancy lives here and not in ``organizations``, because the event log, which is older than
  any organization, needs it too.
"""
