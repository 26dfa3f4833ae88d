"""Writes to datasets and their parts; each takes the dataset's row lock first.

The lock makes publishing and changing the parts take turns, and gives versions and numbers that
are never used twice.
"""

from apps.datasets.services.datasets import (
    archive_dataset,
    create_dataset,
    delete_dataset,
    hold_schema,
    lock_dataset,
    publish_dataset,
    refuse_archived,
    restore_dataset,
    trash_dataset,
    unarchive_dataset,
    update_dataset,
)
from apps.datasets.services.parts import (
    create_field,
    create_property,
    create_question,
    create_vector_settings,
    delete_field,
    delete_property,
    delete_question,
    delete_vector_settings,
    update_field,
    update_property,
    update_question,
    update_vector_settings,
)

__all__ = [
    "archive_dataset",
    "create_dataset",
    "create_field",
    "create_property",
    "create_question",
    "create_vector_settings",
    "delete_dataset",
    "delete_field",
    "delete_property",
    "delete_question",
    "delete_vector_settings",
    "hold_schema",
    "lock_dataset",
    "publish_dataset",
    "refuse_archived",
    "restore_dataset",
    "trash_dataset",
    "unarchive_dataset",
    "update_dataset",
    "update_field",
    "update_property",
    "update_question",
    "update_vector_settings",
]
