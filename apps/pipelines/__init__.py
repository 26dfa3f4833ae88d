"""Language-model steps over records: suggestions, generation, feedback."""
