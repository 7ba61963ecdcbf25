"""Plans executed by TorchRec; skipped where it is not installed."""
