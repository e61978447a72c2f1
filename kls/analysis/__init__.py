"""From folders of runs to one table, groups of runs that differ in seeds alone, statistics and tables."""
