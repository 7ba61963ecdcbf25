"""What a set of embedding tables costs on a device, and what their exchange costs between devices."""
