"""What the operating system offers: memory, files that may be damaged, text for people and programs."""
