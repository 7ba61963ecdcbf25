"""Search phase: supervise the solver processes of one run and settle their claims."""
