"""The durable record of every task, from accepted to outcome."""
