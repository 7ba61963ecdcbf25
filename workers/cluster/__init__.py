"""Run attempts on the actors of a Ray cluster. Ray is imported here and nowhere else."""
