"""One run on disk and its ranks: its folder, checkpoints, logs, and the communication between ranks."""
