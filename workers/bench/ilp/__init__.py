"""Integer programs: our service beside the solvers people use, on the same two cores, one after
another.
"""
