"""Training of learned parts: `python -m workers.train KIND STEP`.

Seeds and data hashes are in the weights manifest.
"""
