"""Kind `plan`: goals in words, outlines, ledgers and reports."""
