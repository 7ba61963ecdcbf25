"""Jobs with their values: numbers computed, alternatives spread over several jobs."""
