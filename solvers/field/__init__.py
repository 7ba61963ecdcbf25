"""Field solvers for planar antennas: our method of moments, and openEMS in a process of its own."""
