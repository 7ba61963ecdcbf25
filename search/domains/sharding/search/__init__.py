"""Search for the cheapest plan under the learned cost model, and prove a lower bound."""
