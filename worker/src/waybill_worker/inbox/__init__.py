"""The inbox: a service's record of the attempts that it has claimed and done."""
