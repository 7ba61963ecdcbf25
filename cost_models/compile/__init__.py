"""The learned order of pipelines for kind `compile`."""
