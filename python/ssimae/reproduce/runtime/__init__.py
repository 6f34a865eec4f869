"""How long each system takes, beside a plain script."""
