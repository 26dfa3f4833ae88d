"""The demo: an organization with people, four datasets, and some of the work done already.

Everything comes in the way a user's own data would: through the services and the file import.
"""
