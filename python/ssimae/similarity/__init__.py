"""SSIM and the loss 1 - SSIM; needs torch alone."""
