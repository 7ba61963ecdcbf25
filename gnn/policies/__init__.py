"""Learned policies: each net in torch for training, and its numpy twin for serving, equal by test."""
