"""The search of a CPU as compiled kernels over the arrays of `agents.search.tree` and of the evaluation cache."""
