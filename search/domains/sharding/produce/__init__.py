"""Write the result files of a sharding job: plan, picture and difference."""
