"""Triton kernels, one file per op. Importing one imports triton, so launchers do it when called.

With TRITON_INTERPRET=1, set before the first import, they run on CPU tensors, slowly.
"""
