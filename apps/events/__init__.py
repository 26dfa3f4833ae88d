"""What happened: the append-only log that is audit trail and webhook outbox in one table.

Rows carry plain ids and no foreign keys, so that history survives deletion, and are written in
the transaction of the change itself: an event is neither lost nor invented.
"""
