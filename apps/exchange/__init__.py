"""Ways in and out: CSV and JSONL import with a column mapping, export, the sample datasets."""
