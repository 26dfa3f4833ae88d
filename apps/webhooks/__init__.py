"""Subscriptions to events and their signed delivery, fed by the event log.

An event of a kind that a webhook wants waits in the outbox (``events``), written by the statement
that writes the event. The relay takes it out and writes one delivery a webhook and object, both in
one transaction: nothing is lost or invented when a process dies. The sender posts deliveries until
one is answered with a 2xx, under one id and with one body, signed anew at each attempt; an
attempt whose worker died is made again, so a receiver may meet an id twice. Order is not promised.
While the organization is suspended, deliveries wait.

The bodies are documents of datasets, records and responses, which lie above this app: the
interface that knows their wire form offers builders (``documents``). They show the state at the
time of the relay; an object that is gone by then is passed over, as its deletion tells of it. What
is being deleted is written down in the deleting transaction itself (``services.announce``).
"""
