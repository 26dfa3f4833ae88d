"""Background work: the Job row is the truth, Redis only a doorbell.

One Celery task runs any registered kind. Items carry leases and their results are idempotent,
so a killed worker or an emptied Redis loses nothing.
"""
