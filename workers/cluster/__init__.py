"""Run attempts on the actors of a Ray cluster. No other package imports Ray."""
