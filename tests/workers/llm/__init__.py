"""Tests of workers.llm."""
