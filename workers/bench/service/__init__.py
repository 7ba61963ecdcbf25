"""Measurements of the service: a real server process, real HTTP, kills and pauses."""
