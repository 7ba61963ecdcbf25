"""Plans between worker, store and owner: outlines, the jobs that they become, and wake-ups."""
