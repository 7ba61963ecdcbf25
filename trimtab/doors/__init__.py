"""Doors for modelling languages: models of other packages, solved by trimtab and read back there.

| door | module | used as |
|---|---|---|
| Pyomo, JuMP, AMPL | `trimtab.doors.ampl` | the executable `trimtab-ampl` |
| PuLP | `trimtab.pulp` | `problem.solve(Trimtab(timeLimit=60))` |
| Pyomo | `trimtab.pyomo` | `SolverFactory("trimtab")` |
| linopy | `trimtab.linopy` | `model.solve(remote=Trimtab())` |
| cvxpy | `trimtab.cvxpy` | `problem.solve(solver=Trimtab())` |
| gurobipy | `trimtab.gurobi` | `optimize(model)` |
| a shell | `trimtab.cli.solve` | `trimtab solve model.mps` |

Each of them runs its models through `trimtab.doors.solve`.
"""
