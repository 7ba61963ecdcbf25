"""Large neighbourhood search for mixed-integer programs.

Free some variables, solve for them, accept improvements.
"""
