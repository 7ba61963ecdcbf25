"""Uses of the kind `learn`: how a kind's models are fitted, and what they are judged by."""
