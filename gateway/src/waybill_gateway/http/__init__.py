"""HTTP below the routes: limits, metrics, traces, the direct path of posts."""
