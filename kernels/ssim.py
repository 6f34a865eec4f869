"""The map of 1 - SSIM and its gradient in Triton: separable passes over tiles, with scratch planes in between.
