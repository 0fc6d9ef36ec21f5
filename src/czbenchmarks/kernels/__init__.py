"""Arithmetic: arrays in, arrays or floats out. No pandas, pydantic or AnnData below this line.

The caller has checked its input (finite, two-dimensional, lengths equal); kernels trust it. Every kernel gives the
same bits for any number of threads: work is cut into fixed blocks, BLAS is held to one thread inside a block, and
blocks are spread over our own threads (see ``parallel``).
"""
