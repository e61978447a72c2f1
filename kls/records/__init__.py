"""Files that a run writes: their names, their columns and how they are written."""
