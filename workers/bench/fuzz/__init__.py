"""Differential fuzzers: random inputs of each kind against peers that share no code with the path
under test.
"""
