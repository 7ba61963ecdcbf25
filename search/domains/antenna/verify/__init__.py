"""Independent check of an antenna: rules, margins, and a second field solver."""
