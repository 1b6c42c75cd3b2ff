"""Room of the benchmarks: latency on this machine, the demo and its report."""
