"""A learned graph of jobs made a reading: words become values by the slots that they state."""
