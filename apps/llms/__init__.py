"""Clients of model providers, response cache, token and cost counts.

Its time comes with suggestions by language models; the few-shot suggester needs no provider.
"""
