"""Search of pass pipelines for one program."""
