"""Facts as something to search by: paths, values, questions, and the order of kernels."""
