"""Searching records: words, filters, likeness by vectors, and words and likeness in one ranking.

- ``search.py`` decides how: what is rarer drives, and the rest is asked of what that leaves.
- ``text.py`` translates what people type, ``columns.py`` what a filter or an order means in SQL.
- Row-level security lets no operator of full text use an index, so two functions owned by
  ``stoneware_search`` read the documents (its migration); everything else runs as the application.
- There is no index to refresh: a write is found by the next search.
"""
