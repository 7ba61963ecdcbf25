"""Search for an antenna: layouts, search methods, and the funnel of solvers."""
