"""Measurements of the service from outside: a real server process, real HTTP, kills and pauses."""
