"""What can be said in words, and only where its interval excludes chance."""
