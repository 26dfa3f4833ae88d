"""The API's description in OpenAPI 3.1, made from the views themselves.

``document.py`` walks the URL table; bodies and queries are the schemas that the handlers read,
``operations.py`` says what each operation is for and what it answers, ``objects.py`` how the
answers look. ``page.py`` lays the same document out for reading.
"""
