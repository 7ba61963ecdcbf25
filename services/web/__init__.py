"""Web pages: rendered on the server, usable without JavaScript, live with it."""
