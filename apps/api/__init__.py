"""The HTTP API: the Argilla 2.8 wire contract, and our own resources beside it.

Viewsets look up, check the shape, call one service and serialise. ``errors.py`` is the only
translator from domain errors to statuses.
"""
