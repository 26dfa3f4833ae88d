"""Records: what is labelled, with suggestions, vectors, metadata, search document and counters.

- A record is one row; what changes often (``RecordTask``) or is searched (``SearchDocument``,
  ``RecordMetadata``, ``RecordVector``) lies beside it in narrow rows, written with it in one
  transaction by ``bulk.py``: COPY into a stage, then upserts.
- ``RecordTask.open_slots`` is how many more people the record may be handed to right now; its
  upkeep belongs to ``annotation``.
"""
