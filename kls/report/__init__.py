"""Documents on runs: the tables and pictures of `kls.aggregate`, and pages as HTML and Markdown."""
