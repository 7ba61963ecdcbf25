"""One package for each kind of job; the table of kinds is `search.kinds`."""
