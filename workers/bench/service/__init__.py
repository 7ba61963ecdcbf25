"""The service measured from outside: a real server process, real HTTP, kills and pauses."""
