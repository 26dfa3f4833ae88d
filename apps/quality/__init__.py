"""What the answers are worth, and the few-shot head that learns from them.

The head (``head.py``) is logistic regression over offline text embeddings: no network, no GPU,
retrained in under a second while people label.
"""
