"""Tables of measured figures: pages under deploy/docs/measured, generated from the stored
results.
"""
