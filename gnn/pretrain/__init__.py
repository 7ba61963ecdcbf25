"""Self-supervised pre-training: losses, heads, views, loops and collapse alarms, in torch."""
