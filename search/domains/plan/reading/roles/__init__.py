"""Role of a number, learned from its context: a slot, or nothing that a job has."""
