"""Data and training of the surrogates of kind `antenna`."""
