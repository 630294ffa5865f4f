"""A cell's step as a program: what it multiplies, and the elementwise kernels between the products."""
