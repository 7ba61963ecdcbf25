"""openEMS, the second field solver: a program of its own that reads XML and writes probe files.

openEMS (Liebig et al., Int. J. Numer. Model. 26(6), 2013) is free software under the GPL. None of
it is imported or linked here: `document` writes its input, `process` runs the binary, `probes`
reads its ASCII output.
"""
