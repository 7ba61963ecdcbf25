"""Files of a finished compile job: program, recipe, sizes, picture and report."""
