"""Large neighbourhood search for mixed-integer programs."""
