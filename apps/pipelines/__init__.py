"""Language models at work on records: suggestions, feedback, generated data, prompt versions.

- A recipe (``recipes/``) says what to ask and what to make of the answers. It knows neither jobs
  nor HTTP; ``kinds.py`` runs any of them as a job, in a dry run on a few records or in full.
- Templates of prompts (``templates.py``) are parsed as Jinja2 and interpreted here: looking up,
  testing, looping and a few filters are all they can do. What comes from records stands between
  marks that its text cannot forge (``blocks.py``).
- An answer passes its JSON schema, then its recipe, then ``apps.datasets.values``: nothing a model
  says is stored unchecked.
- Prompt versions never change once they have been used; the suggestions that a newer one replaces
  are kept (``SuggestionHistory``).
"""
