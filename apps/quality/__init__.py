"""What the answers are worth, and the few-shot head that learns from them.

The head (``head.py``) is logistic regression over offline text embeddings: no network, no GPU,
retrained in about a second while people label. It is stored as plain arrays in ``trained_head``,
so any worker can go on with a training's items.

Review: ``causes.py`` says why a record deserves a look (people disagree, Dawid and Skene's model
is unsure, flagged, differs from the model, drawn by chance), ``review.py`` keeps the queue and
hands it out, ``decisions.py`` makes the adjudicated answer and the feedback, ``talk.py`` holds
comments, flags and gaps in the guidelines. A decided record is never handed to a reviewer again
unless somebody flags it.
"""
