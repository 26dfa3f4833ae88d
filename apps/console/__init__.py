"""The pages of those who run models: providers, jobs, runs and drafts.

Members' pages like those of ``apps.labeling``, whose ``for_members`` they use; each asks for the
action it needs. A page extends ``console/frame.html`` and fills its block ``page``; its view gives
``here`` (its name in ``navigation.SECTIONS``, which is what makes it reachable) and, below a
dataset, ``dataset``.

What runs is looked at again every two seconds by ``static/js/poll.js``: an element with
``data-poll`` (the address to ask) whose children have an ``id`` and a ``data-state``; a child is
exchanged when its state changes, and looking ends when an answer has no ``data-poll``.
"""
