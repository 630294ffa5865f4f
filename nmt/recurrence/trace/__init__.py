"""A cell's step as a program: its products, and the elementwise kernels between them."""
