"""Near-duplicates: what says almost the same, by words and by meaning."""
