"""Drafts: records that a program wrote, until a person lets them in.

- Drafts have a table of their own and are no records: nothing that reads records, be it queue,
  search, export, counters or the plan's volume, can come upon one, and none of it had to learn of
  them. A state on ``record`` would have had to be remembered in every query there is.
- Accepting one logs an ordinary record (``annotation.ingest``) under the draft's id, with its
  provenance as metadata; the draft's row stays, and says where the record came from.
- A filter's verdict (``score``, ``keep``, ``reasons``) and likeness to another draft are reasons
  to accept or to discard: they decide nothing themselves.
- A person may change a draft before deciding (``editing``): what the model wrote is kept beside it.
- Every decision has an id and can be taken back, but for records that people have worked on since.
"""
