"""Define the loss of each autoencoder, a module each: what training lowers, and the residual of an image."""
