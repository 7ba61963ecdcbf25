"""Programs to learn from and to be measured on: rebuilt by a command, never committed."""
