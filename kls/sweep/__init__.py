"""Searches in stages: their definition, how an interval is narrowed, and the record of a sweep."""
