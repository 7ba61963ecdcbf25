"""Training dynamics of one attention layer: Scan and Snap, in numpy."""
