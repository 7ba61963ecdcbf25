"""Data and training of the text controller's head."""
