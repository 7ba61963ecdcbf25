"""Job graphs read from words by a learned model: a parser that points at the goal's words."""
