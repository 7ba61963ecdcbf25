"""Read a sharding job: tables, constraints and the plan in use."""
