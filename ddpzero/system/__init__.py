"""The operating system's side: memory, processes and signals, files that may be damaged, terminals, errors."""
