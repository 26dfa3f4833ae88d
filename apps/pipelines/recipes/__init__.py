"""Recipes, one module each: what a model is asked about records, and what its answers become.

``base.py`` is their contract, ``registry.py`` the list of those that can be started.
"""
