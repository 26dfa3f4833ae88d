"""Edits of the questions of a dataset that people have answered already.

- ``services.py`` previews an edit, makes it and takes it back. The questions change at once; the
  answers follow in the same transaction, or by a job where there are many.
- ``reach.py`` finds the records concerned; ``rewriting.py`` rewrites a page of them: answers,
  suggestions and decisions, each kept as it was (``annotation.models.RewrittenAnswer``).
- What cannot be carried over goes back to those who answered: their answer becomes a draft, and
  what they had said stands in their feedback.
- Edits of a question are taken back in the reverse order. An answer that nobody touched since is
  what it was before; one that was given since is kept, in the words of the old questions.
"""
