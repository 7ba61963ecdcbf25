"""Goals in words with their references: read, planned, judged. Shared by bench and training."""
