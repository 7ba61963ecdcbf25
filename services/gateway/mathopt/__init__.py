"""The remote solves of OR-Tools MathOpt: its requests and answers, in JSON."""
