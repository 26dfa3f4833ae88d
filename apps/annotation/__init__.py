"""Answers, and who gets which record next.

- ``distribution.py`` hands out slots by lease: never more people at once than answers are still
  needed, never the same person twice. ``queues.py`` has its statements.
- ``services.py`` takes answers; a record completes exactly once, however many submit at a time.
  ``storing.py`` is the statement that does it, ``slots.py`` the locks and counts around it.
- ``turns.py``: what one person does in a dataset happens one after the other.
- A late answer (lease lost, record completed meanwhile) is always kept.
- Lock order, everywhere: the annotator's row, then records with their ``record_task`` by id, then
  responses and leases, ``dataset_counter`` last. Once a transaction has the counter it waits for
  no record: who saves several answers in one calls ``hold_answers`` first.
"""
