"""Files of other tools: Label Studio, doccano, distilabel, Argilla 1.x.

- A reader (``label_studio``, ``doccano``, ``tables`` with ``distilabel`` and ``argilla_v1``) makes
  items of a file without knowing the dataset::

      {"id": "7", "data": {column: value}, "metadata": {…},
       "suggestions": [as in our JSONL], "responses": [as in our JSONL, "user" theirs or none]}

- ``fit`` makes a record of an item as the dataset has it: columns become fields, vectors or
  metadata by their names, answers take the form of their questions, authors are members.
- ``derive`` makes a dataset for a file after a first pass over it.
- Files stream: memory does not grow with them.
"""
