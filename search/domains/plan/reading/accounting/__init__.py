"""The account: every number, engine, file and negation is used, asked about, or shown."""
