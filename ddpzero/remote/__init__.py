"""What a collection server and its clients, contributors and learners, say to each other: messages, files, requests."""
