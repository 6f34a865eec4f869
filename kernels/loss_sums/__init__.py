"""The kernel for sums of 1 - SSIM over each plane, together with their gradient: a single launch."""
