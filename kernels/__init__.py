"""Triton kernels for the GPU: `loss_map`, `loss_sums` and `scale`, which build on `support` and `pixels`.

Every module imports without a GPU and without Triton; `support.available` says why the kernels cannot serve a tensor.
"""
