"""What several tests need: small data, oracles, and values that processes of their own check."""
