"""Test doubles: stand-ins for parts of the product."""
