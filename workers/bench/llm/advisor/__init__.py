"""Budget advisor of the H2O cache: slots per layer at a fixed total, against equal ones.

Calibration, on the tuning segments alone: under the full cache, how many tokens carry 1 − ε of the
attention of each layer and head, measured, and predicted by Scan and Snap's profile law
(`gnn.dynamics.concentration`); and the divergence that a short cache of one layer alone causes.
Proposals follow from each. The proposal that diverges least on the tuning segments is compared with
equal budgets on the test segments: KL(full cache ‖ short cache) per token of the second half.

`stages` runs them: `calibration` (with `divergence`) → `proposals` → `compare` → `card`.
"""
