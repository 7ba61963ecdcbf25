"""Markdown, HTML and PDF of a report."""
