"""Export a trained model, once it is known to say the same as before."""
