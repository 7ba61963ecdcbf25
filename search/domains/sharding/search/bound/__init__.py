"""Lower bounds of the model cost: certificate by column generation, and branch and bound."""
