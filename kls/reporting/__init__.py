"""Reports of studies, and of any folders of runs, as one page and as Markdown."""
