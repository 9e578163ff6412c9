"""Timing a training step on every backend and beside independent peers, under the same conditions for all.

A contender runs in a fresh process, with the processors, threads and BLAS kernels that every other one gets; rounds
are interleaved; gradients are compared with the reference before a time counts.
"""
