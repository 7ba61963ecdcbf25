"""Tables of measured figures: the pages under deploy/docs/measured, from stored results."""
