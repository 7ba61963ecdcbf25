"""Building, linking and running of programs, as a goal states them."""
