"""Order of jobs, and files that one job makes and another reads."""
