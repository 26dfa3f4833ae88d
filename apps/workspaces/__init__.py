"""Workspaces, who is in them, and the one table that says who may do what.

A membership's role holds in every workspace the member belongs to; a workspace membership may
override it. An owner needs no workspace membership.
"""
