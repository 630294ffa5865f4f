"""Compiled kernels: C code generated from a program, the compiler, and the loop over positions."""
