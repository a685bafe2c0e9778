"""ddpzero from Python: what `import ddpzero` offers. README.md explains it; nothing else of ddpzero imports it.

Agents, positions, evaluations, searches, games, matches, stored games, trainings. No function here knows an algorithm:
it asks the agent's player what it can do, and says in one sentence what it cannot.
"""
