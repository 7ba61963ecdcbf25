"""Which variables of an incumbent are worth freeing: the graph attention net of CL-LNS, evaluated in numpy."""
