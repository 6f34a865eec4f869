"""Triton kernels for the GPU: `loss_map`, `loss_sums` and `scale`, on what `support` and `pixels` give all of them.

Every module imports without a GPU and without Triton; `support.available` says why the kernels cannot serve a tensor.
"""
