"""Datasets of the Hugging Face Hub in and out, as jobs.

- Needs the optional packages of ``[hub]``. ``library`` alone imports them, in a worker, when a job
  begins; without them the services refuse and nothing else changes.
- An import (``importing``) reads a split as a stream. The rows of one item are stored together
  with the item's completion and the place where the stream goes on, so a killed worker neither
  loses nor repeats a row; a row that cannot be stored is a reject of the job, with its number.
- What a dataset on the Hub says about itself is a stranger's word: its files must lie in its own
  repository, in a format that is only data, and a picture's path must lie there too (``source``).
- An export (``exporting``) writes Parquet files one after the other, uploads each and removes it,
  and ends with one commit: the repository changes as a whole or not at all.
- The only address is that of the setting ``HF_ENDPOINT``, with the storage it leads to. The token
  of a request is the job's secret; the server's own token, if it has one, is never used.
"""
