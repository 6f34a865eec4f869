"""Values of the Triton kernels: tests that kernels/test_kernels.py runs in processes of their own."""
