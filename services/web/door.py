"""The one seam to the gateway: whatever the pages ask of it goes through here."""

from services.gateway.door_impl import *  # placeholder
