"""A cell over a sequence: merged products, the loop and its gradients, layers and stacks."""
