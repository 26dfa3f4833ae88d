"""Ways in and out: CSV and JSON Lines import with a column mapping, export, the demo.

- A file is a stream of rows (``rows``, ``csv_rows``, ``jsonl_rows``); columns go to targets
  (``targets``); a row becomes a record (``compose``, ``own_form``); chunks of records are stored
  (``importer``). Nothing here knows HTTP or a command line.
- A bad row is reported with its line and reason, and never stops the rows around it.
- An id column makes a repeated import an update. Without one the id is a digest of fields and
  metadata, so answers of several people to one text meet in one record. It is never the row's
  number: another file must not overwrite the first one's records.
- JSON Lines carries everything and is written by PostgreSQL (``exporter``). CSV is made from it
  (``csv_export``), has all answers of all members, and neither vectors, times, nor the difference
  between an empty text and none.
- CSV cells are made harmless for spreadsheets in a way that reading can undo (``cells``).
- ``demo`` fills an organization with ``samples`` the way a user's own files would.
"""
