"""Carrying runs out: claims them from queues, fetches their code, starts their processes, tells what became of them."""
