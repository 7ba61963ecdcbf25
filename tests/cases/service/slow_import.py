"""A module that a warm child never finishes importing: its run stays in start-up."""

import time

time.sleep(120.0)
