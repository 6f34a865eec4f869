"""Compute SSIM and the loss 1 - SSIM; torch is all this needs."""
