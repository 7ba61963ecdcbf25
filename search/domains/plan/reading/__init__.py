"""Read a goal in words: files by their bytes, then typed tokens, slots, jobs, and what is left."""

from search.domains.plan.reading.file_facts import facts_of
from search.domains.plan.reading.in_words import in_words
from search.domains.plan.reading.read import read_goal

__all__ = ["facts_of", "in_words", "read_goal"]
