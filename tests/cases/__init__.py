"""Cases from real users and public bug reports: one input, the right value, one folder per kind of job."""
