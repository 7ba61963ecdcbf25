"""Large neighbourhood search for mixed-integer programs: free some variables, solve for them, keep what is better."""
