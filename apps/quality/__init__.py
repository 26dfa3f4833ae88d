"""What the answers are worth, and the few-shot head that learns from them.

The head (``head.py``) is logistic regression over offline text embeddings: no network, no GPU,
retrained in about a second while people label. It is stored as plain arrays in ``trained_head``,
so any worker can go on with a training's items.
"""
