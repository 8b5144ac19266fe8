"""A run as a container of a Docker engine, by Docker's own client.

engine     the engine: asked in threads, since its client blocks
wishes     what the engine is asked for. Pure
container  one container, from its start to its end
"""

from airside.agent.working.infrastructure.docker.container import find, start
from airside.agent.working.infrastructure.docker.engine import forget, works

__all__ = ["find", "forget", "start", "works"]
