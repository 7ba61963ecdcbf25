"""Measurements of integer programs: trimtab and other solvers on the same two cores."""
