"""The endpoint of language models: OpenAI's requests and answers, and what runs between them."""
