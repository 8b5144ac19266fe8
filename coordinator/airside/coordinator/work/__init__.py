"""Work for agents: the queues of the broker, claims and their leases."""
