"""Answers, and who gets which record next.

- ``distribution.py`` hands out slots by lease: never more people at once than answers are still
  needed, never the same person twice.
- ``services.py`` takes answers; a record completes exactly once, however many submit at a time.
- A late answer (lease lost, record completed meanwhile) is always kept.
- Lock order, everywhere: ``record_task`` rows by id, then responses and leases, then the
  annotator's row, then ``dataset_counter`` last.
"""
