"""The trimtab service, installed as a wheel.

The service's packages (`services`, `workers`, `search`, ...) lie inside this folder, not beside it:
their names are too common for a shared site-packages. `python -m trimtab_server` puts the folder
first on the import path and starts the service.
"""
