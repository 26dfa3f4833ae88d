"""A server that somebody else wrote: llama.cpp's, with a tiny model made on the spot.

``pytest -m llm_real``; without ``llama_cpp`` and ``gguf`` the tests are skipped. They may be
installed elsewhere: ``LLM_REAL_PYTHON`` names that interpreter. The model's weights are random, so
its words mean nothing: what is tested is the protocol.
"""
