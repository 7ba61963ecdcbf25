"""Jobs that a goal asks for, by its files, names and verbs."""
