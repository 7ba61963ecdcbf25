"""Story mode: DOC's own task, as a regression test of outline and control."""
