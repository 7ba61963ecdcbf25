"""Kernels: each op has a launcher, a Triton kernel, and a reference in plain torch.

`cuda/` itself has no `__init__.py`: NVIDIA's `cuda.bindings` lives in a namespace package of the
same name.
"""
