"""What is compared: from a concept set, or from annotation files."""
