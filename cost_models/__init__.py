"""What will it cost: learned and simulated cost models."""
