"""Run a file of jobs over an executor, without a server."""
