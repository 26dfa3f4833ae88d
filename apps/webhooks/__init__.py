"""Subscriptions to events and their signed delivery, fed by the event log."""
