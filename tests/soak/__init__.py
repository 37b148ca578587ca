"""Random failures under load, and a broker that is away."""
