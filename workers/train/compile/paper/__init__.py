"""The paper as it is (Liang et al., ICML 2023), on LLVM 22: flat passes, IR instructions, coreset, GEAN, NVP.

What differs from it: LLVM 22's passes under the new pass manager instead of LLVM 10's; programs of this repository's corpus, in
the flavour of true -Oz (`minsize`), which is a stronger baseline than CompilerGym's; tens of programs instead of hundreds of
thousands.
"""
