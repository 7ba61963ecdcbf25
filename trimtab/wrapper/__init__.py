"""Compiler wrapper for Make, CMake and Meson: `CC="trimtab cc"`.

Objects are what clang makes, and carry their IR in a section that no linker loads. A link makes the
user's own program first. Then one image job optimises the IR of all objects together, and the same
link with the resulting object replaces the program when that is smaller. Any trouble leaves the
user's own program.
"""
