"""Datasets: fields, questions, metadata properties, vector settings, guidelines, distribution.

- A dataset is a draft until it is published; then its fields and questions are fixed.
- What a value may be is decided here and only here (``values.py``), for suggestions, responses,
  fields, metadata and vectors alike, by whatever way they arrive.
- ``settings`` of fields, questions and properties are JSON documents whose shape is checked
  where they enter (``settings.py``); names are unique within their dataset and kind.
"""
