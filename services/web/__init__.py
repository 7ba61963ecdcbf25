"""The pages: server-rendered, useful without JavaScript, live with it."""
