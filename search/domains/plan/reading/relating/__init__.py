"""Values by relation to another job's: "twice as long as", "the same", "like uart.c"."""
