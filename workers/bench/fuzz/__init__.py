"""Differential fuzzers: random inputs of each kind against independent peers.

The peers share no code with the path under test.
"""
