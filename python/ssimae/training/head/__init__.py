"""Train a head on stains painted over good crops, beside a finished autoencoder."""
