"""Copying from a running Argilla 2.x server over its REST API.

- ``client`` asks, patiently; ``wire`` says what the answers look like.
- ``people`` copies users, workspaces and memberships; ``settings`` datasets without records;
  ``records`` makes records of theirs; ``run`` does one after the other and compares both sides.
- What was copied is remembered by its id there (``exchange.models``), in the transaction that
  stores it: a copy that was killed goes on where it was, and nothing is there twice.
"""
