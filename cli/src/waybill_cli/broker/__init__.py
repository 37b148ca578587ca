"""Work directly at the broker, without the gateway: waiting payloads, dead letters and their redrive."""
