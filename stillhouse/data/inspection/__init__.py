"""Inspects a table that is new to a project: its text and label columns, and what ``prepare`` makes of it."""

from stillhouse.data.inspection.choice import NO_LABELS, choose_label, choose_text
from stillhouse.data.inspection.counts import Counts, count
from stillhouse.data.inspection.origin import Origin, find_origin
from stillhouse.data.inspection.profile import Profile, profile_columns

__all__ = [
    "NO_LABELS",
    "Counts",
    "Origin",
    "Profile",
    "choose_label",
    "choose_text",
    "count",
    "find_origin",
    "profile_columns",
]
