"""One entry point per trained thing: `python -m workers.train WHAT`. Resumable; seeds and data hash in the manifest."""
