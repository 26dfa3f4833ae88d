"""The operator's side of an instance: console, health, figures, and the walk that looks for leaks.

No other app can hold it: its pages belong to no organization and see all of them, so this is the
only interface that reads through the connection ``operator``; and its middleware stands around
every other interface. Whoever is not staff gets a 404 for everything below ``/operator/``; staff
prove who they are again, with their second factor, for half an hour at a time (``access.py``).
What is changed inside an organization is changed by the services of its app, inside the
organization, and leaves an event there.
"""
