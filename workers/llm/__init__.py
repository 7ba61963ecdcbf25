"""Language models: weights, tokenizer, engine with a bounded cache, and adapters of `TextModel`."""
