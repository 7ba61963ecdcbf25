"""The quality protocol: every published figure comes from here, as a JSON line with machine,
versions, seed and date.
"""
