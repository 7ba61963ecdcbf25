"""Quality of sharding plans, side by side with the planners people use."""
