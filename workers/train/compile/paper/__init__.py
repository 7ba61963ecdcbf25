"""Reproduction of the paper on LLVM 22: flat passes, IR instructions, coreset, GEAN, NVP.

Liang et al., "Learning Compiler Pass Orders using Coreset and Normalized Value Prediction",
ICML 2023. Differences: passes of LLVM 22 under the new pass manager instead of LLVM 10's;
programs of this repository's corpus with the attributes of true -Oz (`minsize`), which is a
stronger baseline than CompilerGym's; hundreds of programs instead of hundreds of thousands. See
`deploy/docs/design/compile.md`, "Paper mode".
"""
