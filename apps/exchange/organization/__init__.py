"""A whole organization as files, back from them, and gone for good.

The tables are found in PostgreSQL's catalog, so a new one is in every export from its first
migration on. What is left out or made blank is named in ``tables``, and in each manifest.
"""
