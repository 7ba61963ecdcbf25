"""Cases from real users and public bug reports: inputs with their right values, by kind of job."""
