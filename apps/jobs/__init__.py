"""Background work: the Job row is the truth, Redis only a doorbell.

One Celery task runs any registered kind. A job is planned into items, which a run leases one by
one (``kinds.Kind``) or in pages (``kinds.StreamedKind``: items that wait for others are computed in
an event loop and stored in groups, see ``stream``). A run lives as long as its heartbeat, and its
leases with it. The result of an item commits together with the item's completion, which names the
attempt it belongs to: so a killed worker, a worker believed dead, or an emptied Redis neither loses
a result nor stores it twice. What can happen twice is the slow part (``compute``) of the items in
flight.

Jobs wait in one of two queues: ``bulk``, or ``interactive`` for what people wait for, which has
workers of its own.
"""
