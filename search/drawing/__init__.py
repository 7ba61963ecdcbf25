"""Drawings for results and measurements: plain SVG without scripts, for light and dark pages."""
