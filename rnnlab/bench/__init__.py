"""The time of a training step on every backend and with other libraries, under the same conditions for all.

Each contender runs in a process of its own, with the same processors, threads and BLAS kernels; rounds are interleaved;
its gradients are compared with the reference before its time counts.
"""
