"""Kind `compile` measured: loadable bytes against true -Oz, beside other searches at equal evaluations."""
