"""Watching a model at work: its live predictions, what people make of them, and how they drift."""
