"""Native C++ of the ops for CPUs: sources, their build at first use, and the calls."""
