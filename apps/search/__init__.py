"""Filters, full text, vector similarity and their hybrid, returned as record querysets."""
