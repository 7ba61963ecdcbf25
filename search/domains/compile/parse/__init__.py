"""Reading a compile job: upload to sources, sources to one unoptimised module."""
