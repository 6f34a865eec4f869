"""Kernels for the map of 1 - SSIM and its gradient: several launches, with scratch planes between them."""
